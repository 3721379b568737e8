"""Cancelling mailings.

As for a single e-mail, the jobs are locked before what they deliver: see `api.email_changes`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from api.email_changes import cancel_unsent
from api.mailing_shapes import Mailing
from api.mailings import RECIPIENTS_OF_MAILING, MailingNotFound, read_mailing
from api.resources import Resources
from shared.errors import IllegalTransition
from shared.job_row import JobRow

_FIND = "SELECT true FROM mailings WHERE id = %s AND owner_id = %s"
_JOB_IDS = "SELECT DISTINCT job_id FROM emails WHERE mailing_id = %s AND job_id IS NOT NULL"
# In the order in which everyone locks many jobs. What is over has nothing that could still go, or go to another job.
_LOCK_JOBS = "SELECT id FROM jobs WHERE id = ANY(%s) AND finished_at IS NULL ORDER BY id FOR NO KEY UPDATE"
_LOCK = "SELECT cancelled_at FROM mailings WHERE id = %s AND owner_id = %s FOR NO KEY UPDATE"
_UNSETTLED = f"""
SELECT unsettled.id FROM (SELECT %s::uuid AS id) AS mailing, LATERAL (
    SELECT emails.id FROM {RECIPIENTS_OF_MAILING}
        AND emails.cancelled_at IS NULL AND recipients.state IN ('queued', 'sending', 'deferred')) AS unsettled
"""  # noqa: S608 - a constant
_CANCEL = "UPDATE mailings SET cancelled_at = clock_timestamp() WHERE id = %s"


async def cancel_mailing(resources: Resources, owner_id: UUID, mailing_id: UUID) -> Mailing:
    """Cancel what has not gone; raises `MailingNotFound`, and `IllegalTransition` when nothing was left to cancel.

    A message that is being handed to the mail server goes on its way; should that fail, it is not sent again.
    """
    cancelled: list[JobRow] = []
    async with resources.ledger.connection() as connection, connection.transaction():
        job_ids, cancelled_at = await _lock(connection, owner_id, mailing_id)
        async with connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(_UNSETTLED, (mailing_id,))
            email_ids: list[UUID] = await cursor.fetchall()
        if not email_ids and cancelled_at is None:
            raise IllegalTransition("Nothing is left to cancel: the mailing has gone, or will not go.")
        if email_ids and cancelled_at is None:
            await connection.execute(_CANCEL, (mailing_id,))
            cancelled = await cancel_unsent(connection, owner_id, email_ids, job_ids)
    resources.changes.announce(cancelled)
    return await read_mailing(resources, owner_id, mailing_id)


async def _lock(
    connection: AsyncConnection[Any], owner_id: UUID, mailing_id: UUID
) -> tuple[Sequence[UUID], datetime | None]:
    locked: set[UUID] = set()
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_FIND, (mailing_id, owner_id))
        if await cursor.fetchone() is None:
            raise MailingNotFound("No such mailing.")
        # Until its job was locked an e-mail may have been given to another, which is always a newer one.
        while True:
            await cursor.execute(_JOB_IDS, (mailing_id,))
            more = set(await cursor.fetchall()) - locked
            if not more:
                break
            await cursor.execute(_LOCK_JOBS, (list(more),))
            locked |= more
        await cursor.execute(_LOCK, (mailing_id, owner_id))
        return sorted(locked), await cursor.fetchone()
