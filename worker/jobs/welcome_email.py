"""`listener.welcome_email`: welcomes who has registered, by an e-mail, where `JOBYARD_WELCOME_EMAIL` says so.

The e-mail is the system's own: it is in nobody's list, counts against nobody, and no user can cancel it.
"""

from uuid import UUID

from sqlalchemy import text

from shared.database import driver_connection
from shared.event_listeners import on
from shared.events import Event
from shared.ids import id_for, new_id
from shared.job_context import JobContext
from shared.job_kind import JobResult, load_job_kinds
from shared.job_outcome import Fail
from shared.job_queue import NUDGE, NewJob, enqueue_in_worker
from shared.mail_address import make_mailbox, parse_mailbox
from shared.mail_models import Email, Recipient
from shared.mail_templates import TemplateSource, render
from shared.models import SYSTEM_OWNER_ID

WELCOME = TemplateSource(
    subject="Welcome to Jobyard{% if name %}, {{ name }}{% endif %}",
    text="""Hello{% if name %} {{ name }}{% endif %},

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
    settings = context.settings
    # A name may have what ends a line for mail programs.
    address, name = str(event.data["email"]), " ".join(str(event.data["name"] or "").split()) or None
    try:
        to = make_mailbox(name, address)
    except ValueError as error:
        raise Fail("address_not_valid", "There can be no mail to the address of this account.") from error
    sender = parse_mailbox(settings.mail_from)
    content = render(WELCOME, {"name": name, "email": address, "url": settings.public_url})
    email_id, job_id = (id_for(event.timestamp, f"welcome {what}:{event.id}") for what in ("email", "job"))
    kind = load_job_kinds(settings.job_modules)["mail.send"]
    new = NewJob(
        id=job_id,
        owner_id=SYSTEM_OWNER_ID,
        kind=kind.name,
        queue=kind.queue,
        input={"email_id": str(email_id), "mailing_id": None},
        max_attempts=kind.max_attempts,
        tags=["welcome"],
    )
    with context.session() as session:
        # An attempt before this one may have been killed after it had written all of it down.
        if enqueue_in_worker(driver_connection(session), new):
            session.add(
                Email(
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
            )
            session.flush()
            session.add(
                Recipient(
                    id=new_id(),
                    email_id=email_id,
                    owner_id=SYSTEM_OWNER_ID,
                    position=0,
                    role="to",
                    name=to.name,
                    address=to.address,
                    address_key=to.key,
                )
            )
    with context.session() as session:
        session.execute(text(NUDGE))
    return WelcomeResult(email_id=email_id, job_id=job_id)
