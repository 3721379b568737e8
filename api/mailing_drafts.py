"""Accepting a mailing: each message is rendered on trial, then all rows and jobs are written in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.email_rows import insert_emails, make_recipients
from api.email_senders import choose_sender
from api.email_templates import find_template, source_of
from api.mail_jobs import mail_job
from api.mailing_bodies import MOST_NAMED, Addressee, MailingOrder
from api.resources import Resources
from api.transactions import session_connection
from shared.ids import new_id
from shared.job_queue import enqueue
from shared.mail_address import Mailbox
from shared.mail_models import Email, Mailing
from shared.mail_templates import Content, TemplateError, TemplateSource, TemplateVariablesMissing

EMAILS_PER_JOB = 100
_MOST_NAMES = 20


class MailingDraft(NamedTuple):
    """Is a mailing whose messages can be made; nothing of it is written yet."""

    sender: Mailbox
    source: TemplateSource
    subjects: Sequence[str]


async def make_draft(resources: Resources, owner_id: UUID, order: MailingOrder) -> MailingDraft:
    """Choose the sender and render each message; call it outside a transaction.

    Raises `SenderNotAllowed`, `EmailTemplateNotFound`, and the first `TemplateError`, which then points to the first
    recipients that it holds for.
    """
    options = order.options
    sender = choose_sender(resources.settings, options.sender)
    async with resources.sessions() as session:
        source = source_of(await find_template(session, owner_id, options.template, pointer="/template"))
    variables = [addressee.variables for addressee in order.addressees]
    made = await resources.renderer.render_each(source, variables, "subject", options.variables)
    wrong = {index: each for index, each in enumerate(made) if isinstance(each, TemplateError)}
    if wrong:
        raise _error_of(wrong, len(made))
    return MailingDraft(sender, source, [each.subject for each in made if isinstance(each, Content)])


def _error_of(wrong: dict[int, TemplateError], total: int) -> TemplateError:
    kind = type(next(iter(wrong.values())))
    alike = {index: each for index, each in wrong.items() if type(each) is kind}
    first = next(iter(alike.values()))
    names = dict.fromkeys(
        name for each in alike.values() if isinstance(each, TemplateVariablesMissing) for name in each.names
    )
    what = f"The template needs variables that are not given: {', '.join([*names][:_MOST_NAMES])}." if names else ""
    error = kind(f"{what or first.detail} This is so for {len(alike)} of {total} recipients.")
    pointers = [
        f"/recipients/{index}{pointer}"
        for index, each in alike.items()
        for pointer in each.pointers or ("/variables",)
    ]  # fmt: skip
    error.pointers = tuple(pointers[:MOST_NAMED])
    return error


async def write_mailing(
    resources: Resources, session: AsyncSession, owner_id: UUID, order: MailingOrder, draft: MailingDraft, base_url: str
) -> tuple[Mailing, Counter[str]]:
    """Write a mailing, its e-mails and their jobs in a session's transaction; gives how many recipients are in a state.

    `base_url` is where recipients find the service when its settings do not say so.
    """
    options = order.options
    mailing = _mailing_row(owner_id, order, draft)
    session.add(mailing)
    connection = await session_connection(session)
    # Made in one millisecond, ids are in no order; these are written in the order of the request.
    ids = sorted(new_id() for _ in order.addressees)
    states: Counter[str] = Counter()
    for start in range(0, len(ids), EMAILS_PER_JOB):
        job = mail_job(
            resources, owner_id, mailing_id=mailing.id,
            priority=options.priority, tags=options.tags, run_at=options.send_at,
        )  # fmt: skip
        await enqueue(connection, job)
        shared = _shared_values(mailing, order, job.id)
        emails = [
            Email(
                id=ids[index],
                message_id=f"<{ids[index]}@{draft.sender.wire.rpartition('@')[2]}>",
                subject=draft.subjects[index],
                unsubscribe_url=_unsubscribe_url(resources, order, owner_id, base_url, order.addressees[index]),
                variables=order.addressees[index].variables,
                recipients=make_recipients(ids[index], owner_id, [("to", order.addressees[index].mailbox)]),
                **shared,
            )
            for index in range(start, min(start + EMAILS_PER_JOB, len(ids)))
        ]
        await insert_emails(connection, emails)
        states.update(recipient.state for email in emails for recipient in email.recipients)
    return mailing, states


def _unsubscribe_url(
    resources: Resources, order: MailingOrder, owner_id: UUID, base_url: str, addressee: Addressee
) -> str | None:
    if not order.options.unsubscribe:
        return None
    return resources.unsubscribe_links.url(base_url, owner_id, addressee.mailbox.address)


def _mailing_row(owner_id: UUID, order: MailingOrder, draft: MailingDraft) -> Mailing:
    return Mailing(
        id=new_id(),
        owner_id=owner_id,
        template=order.options.template,
        subject=draft.source.subject,
        text=draft.source.text,
        html=draft.source.html,
        variables=order.options.variables,
        sender=str(draft.sender),
        recipients=len(order.addressees),
        tags=order.options.tags,
        send_at=order.options.send_at,
        cancelled_at=None,
    )


def _shared_values(mailing: Mailing, order: MailingOrder, job_id: UUID) -> dict[str, Any]:
    options = order.options
    return {
        "owner_id": mailing.owner_id,
        "job_id": job_id,
        "mailing_id": mailing.id,
        "sender": mailing.sender,
        "reply_to": str(options.reply_to) if options.reply_to else None,
        "text": None,
        "html": None,
        "template": options.template,
        "headers": options.headers,
        "attachment_ids": [],
        "inline_images": [],
        "delivery": options.delivery,
        "tags": options.tags,
        "send_at": options.send_at,
    }
