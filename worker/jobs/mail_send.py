"""`mail.send`: delivers the e-mails that were given to this job, one or a chunk of many.

The e-mails' rows name the job; its input only tells people what it is about. A recipient is marked `sending` before the
message goes out and `sent` once the server has taken it. A crash in between leaves `sending`: the next attempt sends
again, under the same Message-ID, or calls it `uncertain`, as the sender chose. Who is deferred is waited for by
snoozing, which costs the job no attempt: its attempts are there for crashes.
"""

from datetime import timedelta
from uuid import UUID

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Fail


class MailInput(JobInput):
    """Says what the job is about: one e-mail, or a part of a mailing."""

    email_id: UUID | None = None
    mailing_id: UUID | None = None


class MailResult(JobResult):
    """Counts the job's recipients by what became of them."""

    sent: int = 0
    bounced: int = 0
    suppressed: int = 0
    uncertain: int = 0
    cancelled: int = 0
    failed: int = 0


@job(
    "mail.send",
    queue="mail",
    access="internal",
    timeout=timedelta(minutes=10),
    max_attempts=20,
    backoff=timedelta(seconds=2),
    backoff_cap=timedelta(minutes=10),
    # Broken into while the server is taking a message, it would have to be sent again. It looks for a cancel request
    # and for the worker's end itself, between two messages.
    interruptible=False,
)
async def send_mail(_: MailInput, context: JobContext) -> MailResult:
    """Deliver e-mails to the recipients that have not got them yet."""
    from worker.mail_delivery import deliver  # noqa: PLC0415 - the front imports this module, but not aiosmtplib

    counts, last_words = await deliver(context)
    result = MailResult(**counts)
    if not result.sent and result.bounced + result.uncertain + result.failed:
        code = "all_recipients_refused" if result.bounced else "nothing_sent"
        raise Fail(code, f"No recipient has certainly got it; the last word: {last_words}")
    return result
