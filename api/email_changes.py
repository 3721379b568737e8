"""Cancelling and rescheduling e-mails.

Both lock the job that delivers the e-mail before the e-mail itself, as an attempt does for each word that it writes: so
what they find is settled, and what they write is seen before the next message goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row, tuple_row

from api.emails import read_email
from api.mail_jobs import mail_job
from api.resources import Resources
from shared.email_shapes import Email
from shared.errors import EmailNotFound, IllegalTransition
from shared.job_queue import cancel_jobs, enqueue
from shared.job_row import JobRow
from shared.mail_models import UNSETTLED

_FIND = "SELECT job_id FROM emails WHERE id = %s AND owner_id = %s"
_LOCK_JOB = "SELECT priority, tags FROM jobs WHERE id = %s FOR NO KEY UPDATE"
_LOCK_EMAIL = """
SELECT job_id, mailing_id, cancelled_at,
       attachment_ids || ARRAY(SELECT (jsonb_array_elements(inline_images) ->> 'file_id')::uuid)
FROM emails WHERE id = %s AND owner_id = %s FOR NO KEY UPDATE
"""
_STATES = "SELECT state FROM recipients WHERE email_id = %s"
_CANCEL_EMAILS = "UPDATE emails SET cancelled_at = clock_timestamp() WHERE id = ANY(%s)"
_CANCEL_RECIPIENTS = """
UPDATE recipients SET state = 'cancelled', next_attempt_at = NULL
WHERE email_id = ANY(%s) AND state IN ('queued', 'deferred')
"""
_SETTLED_JOBS = """
SELECT id FROM unnest(%s::uuid[]) AS job (id)
WHERE NOT EXISTS (SELECT 1 FROM emails JOIN recipients ON recipients.email_id = emails.id
                  WHERE emails.job_id = job.id AND recipients.state IN ('queued', 'sending', 'deferred'))
"""
_RESCHEDULE = "UPDATE emails SET job_id = %s, send_at = coalesce(%s, clock_timestamp()) WHERE id = %s"
_ANY_LEFT = "SELECT EXISTS (SELECT 1 FROM emails WHERE job_id = %s)"


@dataclass(frozen=True, slots=True)
class LockedEmail:
    """Is what is known of an e-mail and its job while nobody else can change them."""

    job_id: UUID | None
    mailing_id: UUID | None
    cancelled_at: datetime | None
    file_ids: list[UUID]
    states: set[str]
    priority: int
    tags: list[str]

    @property
    def was_cancelled(self) -> bool:
        """Whether it was cancelled by itself or with its job."""
        return self.cancelled_at is not None or "cancelled" in self.states

    @property
    def is_unsettled(self) -> bool:
        """Whether some recipient may still get it."""
        return not self.states.isdisjoint(UNSETTLED)

    @property
    def is_untried(self) -> bool:
        """Whether it is to be sent, and has not been tried for anybody."""
        return self.cancelled_at is None and "queued" in self.states and self.states <= {"queued", "suppressed"}


async def cancel_email(resources: Resources, owner_id: UUID, email_id: UUID) -> Email:
    """Cancel what has not gone; raises `EmailNotFound`, and `IllegalTransition` when nothing was left to cancel.

    A message that is being handed to the mail server goes on its way; should that fail, it is not sent again.
    """
    cancelled: list[JobRow] = []
    async with resources.ledger.connection() as connection, connection.transaction():
        email = await _lock(connection, owner_id, email_id)
        if not email.is_unsettled and not email.was_cancelled:
            raise IllegalTransition("Nothing is left to cancel: the e-mail has gone, or will not go.")
        if email.is_unsettled and email.cancelled_at is None:
            job_ids = [] if email.job_id is None else [email.job_id]
            cancelled = await cancel_unsent(connection, owner_id, [email_id], job_ids)
    resources.changes.announce(cancelled)
    return await read_email(resources, owner_id, email_id)


async def cancel_unsent(
    connection: AsyncConnection[Any], owner_id: UUID, email_ids: Sequence[UUID], job_ids: Sequence[UUID]
) -> list[JobRow]:
    """Cancel e-mails, and those of the jobs that then have nothing left to deliver; gives these.

    The caller has locked the jobs, which are all that deliver these e-mails, and found e-mails that are not settled.
    """
    await connection.execute(_CANCEL_EMAILS, (email_ids,))
    await connection.execute(_CANCEL_RECIPIENTS, (email_ids,))
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_SETTLED_JOBS, (job_ids,))
        settled: list[UUID] = await cursor.fetchall()
    return await cancel_jobs(connection, owner_id, settled)


async def reschedule_email(resources: Resources, owner_id: UUID, email_id: UUID, send_at: datetime | None) -> Email:
    """Give an e-mail another time, None for at once; raises `EmailNotFound`, and `IllegalTransition` once it was tried.

    It gets a job of its own. Its `send_at` is never null then: how long it is tried, and its date, go by that.
    """
    cancelled: list[JobRow] = []
    async with resources.ledger.connection() as connection, connection.transaction():
        email = await _lock(connection, owner_id, email_id)
        if not email.is_untried or email.job_id is None:
            raise IllegalTransition("The e-mail was cancelled or has been tried: it cannot go at another time.")
        new = mail_job(
            resources, owner_id, email_id=email_id, mailing_id=email.mailing_id,
            priority=email.priority, tags=email.tags, run_at=send_at, file_ids=email.file_ids,
        )  # fmt: skip
        await enqueue(connection, new)
        await connection.execute(_RESCHEDULE, (new.id, send_at, email_id))
        if not await _delivers_others(connection, email.job_id):
            cancelled = await cancel_jobs(connection, owner_id, [email.job_id])
    resources.note_enqueued(owner_id)
    resources.changes.announce(cancelled)
    return await read_email(resources, owner_id, email_id)


async def _lock(connection: AsyncConnection[Any], owner_id: UUID, email_id: UUID) -> LockedEmail:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_FIND, (email_id, owner_id))
        found = await cursor.fetchone()
        while found is not None:
            job_id = found[0]
            await cursor.execute(_LOCK_JOB, (job_id,))
            priority, tags = await cursor.fetchone() or (0, [])
            await cursor.execute(_LOCK_EMAIL, (email_id, owner_id))
            found = await cursor.fetchone()
            # Until the job was locked the e-mail may have been given to another, which is always a newer one.
            if found is not None and found[0] == job_id:
                await cursor.execute(_STATES, (email_id,))
                states = {row[0] for row in await cursor.fetchall()}
                return LockedEmail(*found, states=states, priority=priority, tags=tags)
    raise EmailNotFound("No such e-mail.")


async def _delivers_others(connection: AsyncConnection[Any], job_id: UUID) -> bool:
    cursor = await connection.execute(_ANY_LEFT, (job_id,))
    found = await cursor.fetchone()
    return found is not None and found[0]
