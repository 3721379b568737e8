"""The tables of e-mail: messages, recipients, mailings, templates, suppressions, rates."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.ids import new_id
from shared.models import Base, one_of

RECIPIENT_STATES = (
    "queued", "sending", "sent", "deferred", "bounced", "suppressed", "uncertain", "cancelled", "failed",
)  # fmt: skip
UNSETTLED = ("queued", "sending", "deferred")
"""The states in which a recipient's mail may still go out."""

DELIVERIES = ("at_least_once", "at_most_once")
SUPPRESSION_REASONS = ("hard_bounce", "complaint", "unsubscribed", "manual")


class Email(Base):
    """Is a message that a `mail.send` job delivers, alone or with others.

    A mailing's message has `variables`, of which its worker makes the texts; any other has its texts here.
    """

    __tablename__ = "emails"
    __table_args__ = (
        Index("ix_emails_owner_list", "owner_id", sql("created_at DESC"), sql("id DESC")),
        Index("ix_emails_mailing_id", "mailing_id", "id", postgresql_where=sql("mailing_id IS NOT NULL")),
        one_of("delivery", list(DELIVERIES)),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    mailing_id: Mapped[UUID | None] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    sender: Mapped[str]
    reply_to: Mapped[str | None]
    subject: Mapped[str]
    text: Mapped[str | None]
    html: Mapped[str | None]
    template: Mapped[str | None]
    variables: Mapped[dict[str, Any] | None]
    headers: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))
    attachment_ids: Mapped[list[UUID]] = mapped_column(server_default=sql("'{}'"))
    inline_images: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=sql("'[]'"))
    unsubscribe_url: Mapped[str | None]
    delivery: Mapped[str] = mapped_column(server_default="at_least_once")
    tags: Mapped[list[str]] = mapped_column(server_default=sql("'{}'"))
    send_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    recipients: Mapped[list["Recipient"]] = relationship(lazy="raise", order_by="Recipient.position")


class Recipient(Base):
    """Is one address of an e-mail, what its server said last, and when it is to be tried again.

    `owner_id` is the e-mail's, for the indexes. A job that ends without settling its recipients settles them by a
    trigger: see migration 0004.
    """

    __tablename__ = "recipients"
    __table_args__ = (
        one_of("role", ["to", "cc", "bcc"]),
        one_of("state", list(RECIPIENT_STATES)),
        Index("uq_recipients_email_position", "email_id", "position", unique=True),
        Index("ix_recipients_owner_address", "owner_id", "address_key", "email_id"),
        Index("ix_recipients_owner_state", "owner_id", "state", "email_id", postgresql_where=sql("state <> 'sent'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    email_id: Mapped[UUID] = mapped_column(ForeignKey("emails.id", ondelete="CASCADE"))
    owner_id: Mapped[UUID]
    position: Mapped[int]
    role: Mapped[str]
    name: Mapped[str | None]
    address: Mapped[str]
    address_key: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    attempts: Mapped[int] = mapped_column(server_default=sql("0"))
    first_tried_at: Mapped[datetime | None]
    reply_code: Mapped[int | None]
    reply_enhanced: Mapped[str | None]
    reply_text: Mapped[str | None]
    replied_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]


class Mailing(Base):
    """Is one template for many recipients, each with variables and a message of its own; it keeps the texts of then.

    `variables` are those that all share; of two with one name the e-mail's own counts.
    """

    __tablename__ = "mailings"
    __table_args__ = (Index("ix_mailings_owner_list", "owner_id", sql("created_at DESC"), sql("id DESC")),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    template: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str | None]
    html: Mapped[str | None]
    variables: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))
    sender: Mapped[str]
    recipients: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(server_default=sql("'{}'"))
    send_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class EmailTemplate(Base):
    """Is an owner's named template: Jinja sources of a subject, a text, an HTML page."""

    __tablename__ = "email_templates"

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str]
    text: Mapped[str | None]
    html: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Suppression(Base):
    """Is an address that an owner's mail no longer goes to."""

    __tablename__ = "suppressions"
    __table_args__ = (
        one_of("reason", list(SUPPRESSION_REASONS)),
        Index("ix_suppressions_owner_list", "owner_id", sql("created_at DESC"), sql("address_key DESC")),
    )

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    address_key: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str]
    reason: Mapped[str]
    detail: Mapped[str | None]
    email_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MailRate(Base):
    """Says when the next message may go to a server or a domain whose rate is limited; all workers take turns here."""

    __tablename__ = "mail_rates"

    name: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
