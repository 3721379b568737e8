"""The tables of the service itself: who dispatches, which queues are paused, which workers live, what was answered."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from shared.models import Base


class DispatcherLease(Base):
    """Names the one dispatcher that is active, in the database's own time, and the session in which it is."""

    __tablename__ = "dispatcher_lease"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    holder: Mapped[UUID | None]
    expires_at: Mapped[datetime] = mapped_column(server_default=func.now())
    backend_pid: Mapped[int | None]
    backend_start: Mapped[datetime | None]


class Queue(Base):
    """Says that a queue is paused; a queue without a row never was."""

    __tablename__ = "queues"

    name: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)


class Worker(Base):
    """Is what a worker says of itself every few seconds; one that no longer does is lost."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    pid: Mapped[int]
    queues: Mapped[list[str]]
    slots: Mapped[int]
    busy: Mapped[int]
    consuming: Mapped[bool]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())
    received_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """Keeps the first answer to a request that its client may repeat; while `status` is null it is being made.

    An upload takes long, so it holds the key by a lease; `claim_id` is the fence that its last write is guarded by.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes | None]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[list[str]] = mapped_column(server_default=sql("'{}'"))
    body: Mapped[bytes | None]
    claim_id: Mapped[UUID]
    lease_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
