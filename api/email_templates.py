"""Templates of e-mails: sources under names of their owner's."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import Response
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from api.email_template_shapes import EmailTemplate, EmailTemplateBody, EmailTemplateSummary, Preview
from api.pages import Page, PageQuery, make_page, select_page_by_name
from api.resources import Resources
from api.transactions import lock_owner
from shared.errors import JobyardError
from shared.mail_models import EmailTemplate as TemplateRow
from shared.mail_templates import TemplateSource

MOST_TEMPLATES = 100


class EmailTemplateNotFound(JobyardError):
    """Is raised for a template that does not exist or is another owner's."""

    status = 404
    code = "email_template_not_found"
    title = "E-mail template not found"


class TooManyEmailTemplates(JobyardError):
    """Is raised when an owner has as many templates as there may be."""

    status = 409
    code = "too_many_email_templates"
    title = "Too many e-mail templates"


async def put_template(resources: Resources, owner_id: UUID, name: str, body: EmailTemplateBody) -> Response:
    """Make a template (201), or replace its sources (200).

    Raises `TemplateNotValid` and other `TemplateError`s, `TooManyEmailTemplates`.
    """
    variables = await resources.renderer.check(TemplateSource(body.subject, body.text, body.html))
    values = body.model_dump()
    # Not now(): behind the lock the transaction may have begun before the rival whose sources are replaced.
    replace = update(TemplateRow).values(**values, updated_at=func.clock_timestamp()).returning(TemplateRow)
    async with resources.sessions.begin() as session:
        await lock_owner(session, owner_id)
        row = await session.scalar(replace.where(TemplateRow.owner_id == owner_id, TemplateRow.name == name))
        if row is not None:
            return _answer(row, variables, 200)
        if await _count(session, owner_id) >= MOST_TEMPLATES:
            raise TooManyEmailTemplates(f"There are {MOST_TEMPLATES} templates already; delete one first.")
        make = insert(TemplateRow).values(owner_id=owner_id, name=name, **values).returning(TemplateRow)
        row = (await session.scalars(make)).one()
    return _answer(row, variables, 201)


async def _count(session: AsyncSession, owner_id: UUID) -> int:
    statement = select(func.count()).select_from(TemplateRow).where(TemplateRow.owner_id == owner_id)
    return (await session.scalars(statement)).one()


def _answer(row: TemplateRow, variables: list[str], status: int) -> Response:
    template = _template_of(row, variables)
    headers = {"Location": template.links.self_} if status == HTTPStatus.CREATED else {}
    return Response(template.model_dump_json(by_alias=True), status, headers, "application/json")


def _template_of(row: TemplateRow, variables: list[str]) -> EmailTemplate:
    return EmailTemplate.model_validate(_summary(row) | {"text": row.text, "html": row.html, "variables": variables})


def _summary(row: TemplateRow) -> dict[str, Any]:
    path = f"/v1/email-templates/{row.name}"
    shown = {name: getattr(row, name) for name in ("name", "subject", "created_at", "updated_at")}
    return shown | {"links": {"self": path, "preview": f"{path}/preview"}}


def source_of(row: TemplateRow) -> TemplateSource:
    """Give the sources of a row."""
    return TemplateSource(row.subject, row.text, row.html)


async def list_templates(resources: Resources, owner_id: UUID, page: PageQuery) -> Page[EmailTemplateSummary]:
    """List an owner's templates by name."""
    statement = select_page_by_name(select(TemplateRow).where(TemplateRow.owner_id == owner_id), page, TemplateRow.name)
    statement = statement.options(defer(TemplateRow.text), defer(TemplateRow.html))
    async with resources.sessions() as session:
        rows = (await session.scalars(statement)).all()
    return make_page(
        rows, page, lambda row: (row.name,), lambda row: EmailTemplateSummary.model_validate(_summary(row))
    )


async def read_template(resources: Resources, owner_id: UUID, name: str) -> EmailTemplate:
    """Read an owner's template; raises `EmailTemplateNotFound`."""
    async with resources.sessions() as session:
        row = await find_template(session, owner_id, name)
    return _template_of(row, await resources.renderer.check(source_of(row)))


async def preview_template(resources: Resources, owner_id: UUID, name: str, variables: dict[str, Any]) -> Preview:
    """Render an owner's template; raises `EmailTemplateNotFound`, `TemplateError`s."""
    async with resources.sessions() as session:
        row = await find_template(session, owner_id, name)
    made = await resources.renderer.render(source_of(row), variables)
    return Preview(subject=made.subject, text=made.text, html=made.html)


async def find_template(session: AsyncSession, owner_id: UUID, name: str, *, pointer: str | None = None) -> TemplateRow:
    """Find an owner's template in a transaction; raises `EmailTemplateNotFound`, which points to who named it."""
    row = await session.get(TemplateRow, (owner_id, name))
    if row is None:
        raise EmailTemplateNotFound("No such e-mail template.", pointer=pointer)
    return row


async def delete_template(resources: Resources, owner_id: UUID, name: str) -> None:
    """Delete an owner's template; raises `EmailTemplateNotFound`. E-mails accepted by it keep what it said."""
    statement = delete(TemplateRow).where(TemplateRow.owner_id == owner_id, TemplateRow.name == name)
    async with resources.sessions.begin() as session:
        if await session.scalar(statement.returning(TemplateRow.name)) is None:
            raise EmailTemplateNotFound("No such e-mail template.")
