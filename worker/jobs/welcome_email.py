"""`listener.welcome_email`: welcomes who has registered, by an e-mail, where `JOBYARD_WELCOME_EMAIL` says so.

The e-mail is the system's own: it is in nobody's list, counts against nobody, and no user can cancel it. It says
nothing that whoever registered has written: the address may be somebody else's, and would be sent their words.
"""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import text

from shared.database import driver_connection
from shared.event_listeners import on
from shared.events import Event
from shared.ids import id_for, new_id
from shared.job_context import JobContext
from shared.job_kind import JobResult, load_job_kinds
from shared.job_outcome import Fail
from shared.job_queue import NUDGE, NewJob, enqueue_in_worker, job_of
from shared.mail_address import Mailbox, make_mailbox, parse_mailbox
from shared.mail_models import Email, Recipient
from shared.mail_templates import TemplateSource, render
from shared.models import SYSTEM_OWNER_ID
from shared.settings import Settings

WELCOME = TemplateSource(
    subject="Welcome to Jobyard",
    text="""Hello,

your account for {{ email }} is ready. Sign in{% if url %} at {{ url }}{% endif %}, upload files and submit jobs.

If it was not you who registered, you need not do anything.
""",
    html=None,
)


class WelcomeResult(JobResult):
    """Names the e-mail and the job that delivers it."""

    email_id: UUID
    job_id: UUID


@on("user.created", when=lambda settings: settings.welcome_email)
def welcome_email(event: Event, context: JobContext) -> WelcomeResult:
    """Welcome a new user by an e-mail; the same event never makes a second one, however often it is told."""
    try:
        to = make_mailbox(None, str(event.data["email"]))
    except ValueError as error:
        raise Fail("address_not_valid", "There can be no mail to the address of this account.") from error
    email_id, job_id = (id_for(event.timestamp, f"welcome {what}:{event.id}") for what in ("email", "job"))
    email = _email(context.settings, email_id, job_id, to)
    with context.session() as session:
        # An attempt before this one may have been killed after it had written all of it down.
        if enqueue_in_worker(driver_connection(session), _mail_job(context.settings, email_id, job_id)):
            session.add(email)
            session.flush()
            session.add(_recipient(email_id, to))
    with context.session() as session:
        session.execute(text(NUDGE))
    return WelcomeResult(email_id=email_id, job_id=job_id)


def _mail_job(settings: Settings, email_id: UUID, job_id: UUID) -> NewJob:
    kind = load_job_kinds(settings.job_modules)["mail.send"]
    about = kind.input_model.model_validate({"email_id": email_id})
    return replace(job_of(kind, SYSTEM_OWNER_ID, about, settings), id=job_id, tags=["welcome"])


def _email(settings: Settings, email_id: UUID, job_id: UUID, to: Mailbox) -> Email:
    sender = parse_mailbox(settings.mail_from)
    content = render(WELCOME, {"email": to.address, "url": settings.public_url})
    return Email(
        id=email_id,
        owner_id=SYSTEM_OWNER_ID,
        job_id=job_id,
        message_id=f"<{email_id}@{sender.wire.rpartition('@')[2]}>",
        sender=str(sender),
        subject=content.subject,
        text=content.text,
        html=content.html,
        tags=["welcome"],
    )


def _recipient(email_id: UUID, to: Mailbox) -> Recipient:
    return Recipient(
        id=new_id(),
        email_id=email_id,
        owner_id=SYSTEM_OWNER_ID,
        position=0,
        role="to",
        name=to.name,
        address=to.address,
        address_key=to.key,
    )
