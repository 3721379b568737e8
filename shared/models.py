"""The tables: the schema's one source, from which Alembic's migrations are compared."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    SmallInteger,
    Text,
    Uuid,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.ids import new_id
from shared.job_state import JobState

SYSTEM_OWNER_ID = UUID(int=0)
"""Owns what beat enqueues; a row of `users` that nobody can sign in as."""


def one_of(column: str, values: list[str]) -> CheckConstraint:
    """Restrict a text column to a list of words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=f"{column}_known")


class Base(DeclarativeBase):
    """Declares the types and names that all tables share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's declared interface
        str: Text,
        datetime: DateTime(timezone=True),
        UUID: Uuid(),
        list[str]: ARRAY(Text),
        list[UUID]: ARRAY(Uuid()),
        dict[str, Any]: JSONB,
    }


class User(Base):
    """Owns files, jobs and e-mails."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email", func.lower(sql("email")), unique=True),
        one_of("role", ["user", "operator", "admin"]),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email: Mapped[str]
    name: Mapped[str | None]
    password_hash: Mapped[str]
    role: Mapped[str] = mapped_column(server_default="user")
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_files: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


TOKEN_KEPT_AFTER_EXPIRY = timedelta(days=1)
"""A refresh token's mark of revocation must outlive every token of its family that it may have missed."""


class RefreshToken(Base):
    """Keeps the hash of a refresh token; a family descends from one sign-in and is revoked as one."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class File(Base):
    """Describes a stored blob."""

    __tablename__ = "files"
    __table_args__ = (
        one_of("purpose", ["upload", "output"]),
        Index("ix_files_owner_list", "owner_id", sql("created_at DESC"), sql("id DESC")),
        Index("ix_files_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str | None]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    storage_key: Mapped[str] = mapped_column(unique=True)
    purpose: Mapped[str]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]


_READY = "state = 'queued' AND dispatched_at IS NULL"
_LIVE_KEY = "unique_key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'retrying')"


class Job(Base):
    """Is the ledger's row and the outbox in one: see docs/architecture.md.

    What a heartbeat writes (lease, progress, version) is in no index, so that PostgreSQL can update it in place.
    `changed_xid` is the transaction that last changed the state, or asked to cancel; a trigger writes it. Whoever
    remembers up to where a snapshot saw finds with it what has changed since, however late it was committed.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", [state.value for state in JobState]),
        Index(
            "ix_jobs_ready", "queue", "owner_id", "kind", "concurrency_key", sql("priority DESC"), "run_at", "id",
            postgresql_where=sql(_READY),
        ),
        Index(
            "ix_jobs_urgent", "queue", sql("priority DESC"), "run_at", "id",
            postgresql_where=sql(f"{_READY} AND priority > 0"),
        ),
        Index("ix_jobs_due", "run_at", postgresql_where=sql("state IN ('scheduled', 'retrying')")),
        Index(
            "ix_jobs_ttl", "ttl_at",
            postgresql_where=sql("state IN ('scheduled', 'queued') AND ttl_at IS NOT NULL AND started_at IS NULL"),
        ),
        Index(
            "ix_jobs_dispatched", "queue", "dispatched_at",
            postgresql_where=sql("state = 'queued' AND dispatched_at IS NOT NULL"),
        ),
        Index("ix_jobs_running", "queue", postgresql_where=sql("state = 'running'")),
        Index("uq_jobs_unique_key", "owner_id", "kind", "unique_key", unique=True, postgresql_where=sql(_LIVE_KEY)),
        Index("ix_jobs_owner_list", "owner_id", sql("created_at DESC"), sql("id DESC")),
        Index(
            "ix_jobs_owner_shown", "owner_id", sql("created_at DESC"), sql("id DESC"),
            postgresql_where=sql("NOT silent"),
        ),
        Index(
            "ix_jobs_owner_live", "owner_id", sql("created_at DESC"), sql("id DESC"),
            postgresql_where=sql("finished_at IS NULL"),
        ),
        Index("ix_jobs_owner_changes", "owner_id", "changed_xid"),
        Index("ix_jobs_retried_from", "retried_from", postgresql_where=sql("retried_from IS NOT NULL")),
        Index("ix_jobs_parent_id", "parent_id", postgresql_where=sql("parent_id IS NOT NULL")),
        Index("ix_jobs_finished_at", "finished_at", postgresql_where=sql("finished_at IS NOT NULL")),
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.01",
            }
        },
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    queue: Mapped[str]
    state: Mapped[str]
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    input: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    last_error: Mapped[dict[str, Any] | None]
    tags: Mapped[list[str]] = mapped_column(server_default=sql("'{}'"))
    unique_key: Mapped[str | None]
    concurrency_key: Mapped[str] = mapped_column(server_default=sql("''"))
    run_at: Mapped[datetime]
    ttl_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(server_default=sql("0"))
    max_attempts: Mapped[int]
    put_backs: Mapped[int] = mapped_column(SmallInteger, server_default=sql("0"))
    fence: Mapped[int] = mapped_column(server_default=sql("0"))
    claim_id: Mapped[UUID | None]
    dispatch_seq: Mapped[int] = mapped_column(server_default=sql("0"))
    dispatched_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(server_default=sql("false"))
    progress_completed: Mapped[int | None] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    progress_message: Mapped[str | None]
    version: Mapped[int] = mapped_column(BigInteger, server_default=sql("1"))
    retried_from: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    webhook_url: Mapped[str | None]
    silent: Mapped[bool] = mapped_column(server_default=sql("false"))
    changed_xid: Mapped[int] = mapped_column(BigInteger, server_default=sql("(pg_current_xact_id()::text)::bigint"))


class JobAttempt(Base):
    """Records one claim of a job and how it ended; keyed by the fence, which never repeats."""

    __tablename__ = "job_attempts"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    fence: Mapped[int] = mapped_column(primary_key=True)
    attempt: Mapped[int]
    worker: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]


class JobFile(Base):
    """Says that a job needs a file, which keeps the file from being deleted while the job lives."""

    __tablename__ = "job_files"

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[UUID] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), primary_key=True, index=True)
