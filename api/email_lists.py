"""Lists of e-mails: by recipient and state, by tags, by mailing."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, Field
from sqlalchemy import ColumnElement, Select, literal_column, select
from sqlalchemy.orm import selectinload

from api.job_bodies import Tag
from api.pages import Page, PageQuery, make_page, select_page
from api.resources import Resources
from shared import mail_models
from shared.email_shapes import Email, RecipientState, shape_email
from shared.mail_address import LONGEST_MAILBOX, parse_mailbox


@dataclass(frozen=True, slots=True)
class EmailFilter:
    """Says which e-mails a list shows; `recipient` is the key of an address."""

    recipient: str | None
    states: list[RecipientState]
    tags: list[str]
    mailing_id: UUID | None


def _key(text: str) -> str:
    return parse_mailbox(text).key


_RecipientKey = Annotated[str, Field(max_length=LONGEST_MAILBOX), AfterValidator(_key)]


async def email_filter(
    recipient: Annotated[
        _RecipientKey | None,
        Query(description="Those to this address, whatever its role.", examples=["ann@example.com"]),
    ] = None,
    state: Annotated[
        list[RecipientState],
        Query(
            max_length=20,
            description="Those with a recipient in one of these states; with `recipient`, those whose recipient is.",
        ),
    ] = [],  # noqa: B006 - FastAPI copies it
    tag: Annotated[list[Tag], Query(max_length=20, description="Those with all of these tags.")] = [],  # noqa: B006 - FastAPI copies it
    mailing_id: Annotated[UUID | None, Query(description="Those of this mailing.")] = None,
) -> EmailFilter:
    """Read which e-mails are asked for."""
    return EmailFilter(recipient, state, tag, mailing_id)


async def list_emails(resources: Resources, owner_id: UUID, page: PageQuery, wanted: EmailFilter) -> Page[Email]:
    """List an owner's e-mails, newest first."""
    statement = select_page(select_emails(owner_id, wanted), page, mail_models.Email.created_at, mail_models.Email.id)
    async with resources.sessions() as session:
        rows = (await session.scalars(statement)).all()
    return make_page(rows, page, lambda row: (row.created_at, row.id), shape_email)


def select_emails(owner_id: UUID, wanted: EmailFilter) -> Select[Any]:
    """Select an owner's e-mails with their recipients, in no order."""
    email = mail_models.Email
    conditions: list[ColumnElement[bool]] = [email.owner_id == owner_id]
    if wanted.tags:
        conditions.append(email.tags.contains(wanted.tags))
    if wanted.mailing_id is not None:
        conditions.append(email.mailing_id == wanted.mailing_id)
    if wanted.recipient is not None or wanted.states:
        conditions.append(email.id.in_(_select_email_ids(owner_id, wanted)))
    return select(email).where(*conditions).options(selectinload(email.recipients))


def _select_email_ids(owner_id: UUID, wanted: EmailFilter) -> Select[Any]:
    recipient = mail_models.Recipient
    # The owner's, though the e-mails are already: only so are the indexes of any use.
    found = select(recipient.email_id).where(recipient.owner_id == owner_id)
    if wanted.recipient is not None:
        found = found.where(recipient.address_key == wanted.recipient)
    if wanted.states:
        found = found.where(recipient.state.in_(wanted.states))
    if wanted.states and "sent" not in wanted.states:
        # In the very words of the partial index.
        found = found.where(recipient.state != literal_column("'sent'"))
    return found
