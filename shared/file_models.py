"""The tables around files: uploads in progress, what each owner has stored, presets of renditions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.ids import new_id
from shared.models import Base


class Upload(Base):
    """Is a file that is still arriving; its row precedes its blob, and gives way to the row of the file.

    `id` becomes the file's. `size` is what it reserves of its owner's quota. The rest is a resumable upload's: `length`
    is its announced size, `received` what is stored of it, in `parts` blobs, each with a row of its own; `claim_id` is
    the request that may append.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        Index("ix_uploads_owner_list", "owner_id", sql("created_at DESC"), sql("id DESC")),
        Index("ix_uploads_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    size: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str | None]
    description: Mapped[str | None]
    announced: Mapped[str | None]
    kept_seconds: Mapped[int | None] = mapped_column(BigInteger)
    length: Mapped[int | None] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger, server_default=sql("0"))
    parts: Mapped[int] = mapped_column(server_default=sql("0"))
    claim_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


class UploadPart(Base):
    """Is a piece of a resumable upload; the blob of a request that lost the upload to another has no row here."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[UUID] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    blob_id: Mapped[UUID]
    size: Mapped[int] = mapped_column(BigInteger)


class StorageUsage(Base):
    """Counts what an owner has stored or reserved; triggers on `files` and `uploads` keep it exact."""

    __tablename__ = "storage_usage"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)


class ImagePreset(Base):
    """Is a list of renditions under a name of its owner's."""

    __tablename__ = "image_presets"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    renditions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
