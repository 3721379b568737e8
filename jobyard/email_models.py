"""What the server tells of e-mails, mailings, templates and suppressed addresses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobyard.reading import Model, named


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient(Model):
    """Is one address of an e-mail and what the mail server said of it; `role` is `to`, `cc` or `bcc`."""

    address: str
    state: str
    role: str = "to"
    name: str | None = None
    attempts: int = 0
    reply_code: int | None = None
    reply_enhanced: str | None = None
    reply_text: str | None = None
    replied_at: datetime | None = None
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    message_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Email(Model):
    """Is an e-mail and how its recipients stand; `done` says that nothing more will be tried."""

    id: str
    sender: str = named("from")
    subject: str
    done: bool
    recipients: tuple[Recipient, ...]
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    job_id: str | None = None
    mailing_id: str | None = None
    message_id: str | None = None
    reply_to: str | None = None
    template: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    attachment_ids: tuple[str, ...] = ()
    inline_images: tuple[Mapping[str, str], ...] = ()
    unsubscribe_url: str | None = None
    delivery: str = "at_least_once"
    tags: tuple[str, ...] = ()
    send_at: datetime | None = None
    created_at: datetime | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EmailBatchItem(Model):
    """Is what became of one e-mail of several: `email`, or the problem document `error` that says why not."""

    index: int
    email: Email | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EmailBatch(Model):
    """Tells what became of each of several e-mails, in their order, and how many were refused."""

    items: tuple[EmailBatchItem, ...]
    failed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Mailing(Model):
    """Is one template on its way to many recipients; `counts` has their number in each state."""

    id: str
    template: str
    sender: str = named("from")
    subject: str
    recipients: int
    done: bool
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    tags: tuple[str, ...] = ()
    send_at: datetime | None = None
    created_at: datetime | None = None
    cancelled_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Template(Model):
    """Is a template of e-mails; a list shows it without `text`, `html` and `variables`."""

    name: str
    subject: str
    text: str | None = None
    html: str | None = None
    variables: tuple[str, ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview(Model):
    """Is what a recipient of a template would get."""

    subject: str
    text: str | None = None
    html: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suppression(Model):
    """Is an address that your mail no longer goes to, and why."""

    address: str
    reason: str
    detail: str | None = None
    email_id: str | None = None
    created_at: datetime | None = None
