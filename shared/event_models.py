"""The tables of telling: events to be told, who listens, webhook endpoints, their deliveries, tickets, broadcasts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, func
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from shared.ids import new_id
from shared.models import Base, one_of

DELIVERY_STATES = ("pending", "delivered", "failed", "superseded", "cancelled")
DISABLED_REASONS = ("manual", "gone", "failing")


class Event(Base):
    """Is something that happened and that somebody wants to be told of; gone once it was made into jobs.

    A trigger writes it in the transaction in which it happened. `body` is the row that changed, as it then was;
    `webhook_url` the place to tell besides the owner's endpoints.
    """

    __tablename__ = "events"

    sequence: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    subject_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(BigInteger, server_default=sql("1"))
    webhook_url: Mapped[str | None]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=sql("clock_timestamp()"))


class EventListener(Base):
    """Says that a listener's kind of job is to run for each event of this name; the active dispatcher writes it."""

    __tablename__ = "event_listeners"

    event: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)


class WebhookEndpoint(Base):
    """Is where an owner wants to be told of events, and the secrets that sign what is sent there.

    The one without a URL of each owner signs what goes to the `webhook_url` of single jobs. While `resting_until` is to
    come nothing is sent, because the last `failures` deliveries in a row could not be made.
    """

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        one_of("disabled_reason", list(DISABLED_REASONS)),
        Index("uq_webhook_endpoints_for_jobs", "owner_id", unique=True, postgresql_where=sql("url IS NULL")),
        Index("ix_webhook_endpoints_owner_list", "owner_id", sql("created_at DESC"), sql("id DESC")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str | None]
    description: Mapped[str | None]
    events: Mapped[list[str]] = mapped_column(server_default=sql("'{}'"))
    secret: Mapped[str]
    previous_secret: Mapped[str | None]
    previous_secret_until: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    failures: Mapped[int] = mapped_column(server_default=sql("0"))
    failing_since: Mapped[datetime | None]
    resting_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookDelivery(Base):
    """Is one event on its way to one endpoint; `id` is the `webhook-id` of every attempt, `body` the bytes signed."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        one_of("state", list(DELIVERY_STATES)),
        Index("ix_webhook_deliveries_list", "endpoint_id", sql("created_at DESC"), sql("id DESC")),
        Index(
            "ix_webhook_deliveries_pending", "endpoint_id", "subject_id", "version",
            postgresql_where=sql("state = 'pending'"),
        ),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )  # fmt: skip

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    event_id: Mapped[UUID]
    event: Mapped[str]
    subject_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(BigInteger)
    url: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default=sql("0"))
    response_status: Mapped[int | None] = mapped_column(SmallInteger)
    response_body: Mapped[str | None]
    error: Mapped[str | None]
    last_attempt_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    replay_of: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class StreamTicket(Base):
    """Lets its bearer open one stream, once, as the user who got it; kept as a hash."""

    __tablename__ = "stream_tickets"

    ticket_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role: Mapped[str]
    token_expires_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Broadcast(Base):
    """Is a message of an operator's to every open WebSocket; kept for a day, so that every process gets to it."""

    __tablename__ = "broadcasts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    message: Mapped[str]
    sent_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=sql("clock_timestamp()"), index=True)
