"""`mail.send`: delivers an e-mail to each of its recipients.

At least once: a recipient is marked `sending` before the message goes out and `sent` once the server has taken it. A
crash in between leaves `sending`, and the next attempt sends again, under the same Message-ID.
"""

import random
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Fail, Retry
from shared.mail_models import Recipient

BACKOFF = timedelta(minutes=2)


class MailInput(JobInput):
    """Names the e-mail to deliver."""

    email_id: UUID


class MailResult(JobResult):
    """Counts the e-mail's recipients by what became of them."""

    sent: int
    bounced: int


@job(
    "mail.send",
    queue="mail",
    access="internal",
    timeout=timedelta(minutes=10),
    max_attempts=6,
    backoff=BACKOFF,
    backoff_cap=timedelta(hours=1),
    # Broken into while the server is taking the message, it would have to be sent again. It looks for a cancel request
    # itself, at the last moment that can hold the message back.
    interruptible=False,
)
async def send_mail(job_input: MailInput, context: JobContext) -> MailResult:
    """Deliver an e-mail to the recipients that have not got it yet."""
    from worker.mail_delivery import deliver  # noqa: PLC0415 - the front imports this module, but not aiosmtplib

    await deliver(context, job_input.email_id)
    return _conclude(context, job_input.email_id)


def _conclude(context: JobContext, email_id: UUID) -> MailResult:
    """Give the result, or ask for another attempt while a recipient is deferred and attempts are left."""
    with context.session() as session:
        context.guard(session)
        statement = select(Recipient).where(Recipient.email_id == email_id).order_by(Recipient.position)
        recipients = session.scalars(statement).all()
        deferred = [recipient for recipient in recipients if recipient.state == "deferred"]
        if deferred and not context.is_last_attempt:
            raise Retry(_delay(context.attempt), f"{_count(len(deferred))} deferred: {_said(deferred[-1])}")
        for recipient in deferred:
            recipient.state = "bounced"
    sent = sum(recipient.state == "sent" for recipient in recipients)
    if not sent:
        raise Fail("all_recipients_refused", f"No recipient was accepted; the last reply: {_said(recipients[-1])}")
    return MailResult(sent=sent, bounced=len(recipients) - sent)


def _delay(attempt: int) -> timedelta:
    """Two minutes, doubled with every attempt, and up to a quarter more so that a crowd does not come back as one."""
    return BACKOFF * 2 ** (attempt - 1) * random.uniform(1, 1.25)  # noqa: S311 - spreads load, guards nothing


def _said(recipient: Recipient) -> str:
    return f"{recipient.reply_code} {recipient.reply_text}"


def _count(number: int) -> str:
    return "1 recipient was" if number == 1 else f"{number} recipients were"
