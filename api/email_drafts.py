"""Accepting e-mails, one or a thousand: what can be refused is, then rows and jobs are written in one transaction."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from api.email_bodies import EmailBody
from api.email_contents import read_contents
from api.email_files import lock_files, require_files
from api.email_rows import insert_emails, make_recipients
from api.email_senders import choose_sender
from api.mail_jobs import mail_job
from api.resources import Resources
from shared.errors import JobyardError
from shared.ids import new_id
from shared.job_queue import enqueue
from shared.mail_address import Mailbox
from shared.mail_models import Email
from shared.mail_templates import Content

MOST_EMAILS_PER_JOB = 50


@dataclass(frozen=True, slots=True)
class Draft:
    """Is an e-mail whose sender and texts are settled; nothing of it is written yet."""

    id: UUID
    body: EmailBody
    sender: Mailbox
    content: Content
    unsubscribe_url: str | None


async def make_drafts(
    resources: Resources, owner_id: UUID, bodies: Sequence[EmailBody], base_url: str
) -> list[Draft | JobyardError]:
    """Settle the senders and the texts of e-mails; gives each, or why it is refused. Call it outside a transaction.

    `base_url` is where recipients find the service when its settings do not say so.
    """
    contents = await read_contents(resources, owner_id, dict(enumerate(bodies)))
    # Made in one millisecond, ids are in no order; these are written in the order of the request.
    ids = sorted(new_id() for _ in bodies)

    def draft(index: int, body: EmailBody) -> Draft | JobyardError:
        said = contents[index]
        if isinstance(said, JobyardError):
            return said
        try:
            sender = choose_sender(resources.settings, body.sender)
        except JobyardError as error:
            return error
        url = None
        if body.unsubscribe:
            [(_, recipient)] = body.recipients()
            url = resources.unsubscribe_links.url(base_url, owner_id, recipient.address)
        return Draft(ids[index], body, sender, said, url)

    return [draft(index, body) for index, body in enumerate(bodies)]


async def write_emails(
    resources: Resources, connection: AsyncConnection[Any], owner_id: UUID, drafts: Sequence[Draft | JobyardError]
) -> list[Email | JobyardError]:
    """Write e-mails and their jobs in the transaction of a connection; gives the rows, or why there are none, in order.

    E-mails that go at the same time, with one priority and the same tags, share jobs.
    """
    wanted = [draft for draft in drafts if isinstance(draft, Draft)]
    files = await lock_files(connection, owner_id, (id_ for draft in wanted for id_ in draft.body.file_ids()))
    refused: dict[UUID, JobyardError] = {}
    for draft in wanted:
        try:
            require_files(draft.body, draft.content, files, resources.settings.max_message_bytes)
        except JobyardError as error:
            refused[draft.id] = error
    rows: dict[UUID, Email] = {}
    for group in _groups([draft for draft in wanted if draft.id not in refused]):
        body, alone = group[0].body, len(group) == 1
        file_ids = [file_id for draft in group for file_id in draft.body.file_ids()]
        new = mail_job(
            resources, owner_id, email_id=group[0].id if alone else None,
            priority=body.priority, tags=body.tags, run_at=body.send_at, file_ids=file_ids,
        )  # fmt: skip
        await enqueue(connection, new)
        rows |= {draft.id: _row(owner_id, draft, new.id) for draft in group}
    await insert_emails(connection, [rows[id_] for id_ in sorted(rows)])
    return [draft if isinstance(draft, JobyardError) else refused.get(draft.id) or rows[draft.id] for draft in drafts]


def _groups(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    alike: dict[object, list[Draft]] = defaultdict(list)
    for draft in drafts:
        body = draft.body
        alike[draft.sender.key, body.send_at, body.priority, tuple(body.tags)].append(draft)
    for group in alike.values():
        for start in range(0, len(group), MOST_EMAILS_PER_JOB):
            yield group[start : start + MOST_EMAILS_PER_JOB]


def _row(owner_id: UUID, draft: Draft, job_id: UUID) -> Email:
    body = draft.body
    return Email(
        id=draft.id,
        owner_id=owner_id,
        job_id=job_id,
        message_id=f"<{draft.id}@{draft.sender.wire.rpartition('@')[2]}>",
        sender=str(draft.sender),
        reply_to=str(body.reply_to) if body.reply_to else None,
        subject=draft.content.subject,
        text=draft.content.text,
        html=draft.content.html,
        template=body.template,
        headers=body.headers,
        attachment_ids=list(dict.fromkeys(body.attachment_ids)),
        inline_images=[image.model_dump(mode="json") for image in body.inline_images],
        unsubscribe_url=draft.unsubscribe_url,
        delivery=body.delivery,
        tags=body.tags,
        send_at=body.send_at,
        recipients=make_recipients(draft.id, owner_id, body.recipients()),
    )
