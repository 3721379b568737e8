"""The texts of e-mails: those that a client wrote, and those that its templates make of variables."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select

from api.email_bodies import EmailBody
from api.resources import Resources
from shared.errors import JobyardError
from shared.mail_models import EmailTemplate


class EmailTemplateNotFound(JobyardError):
    """Is raised for a template that does not exist or is another owner's."""

    status = 404
    code = "email_template_not_found"
    title = "E-mail template not found"


class Texts(NamedTuple):
    """Is what an e-mail says."""

    subject: str
    text: str | None
    html: str | None


async def read_texts(
    resources: Resources, owner_id: UUID, bodies: Mapping[int, EmailBody]
) -> dict[int, Texts | JobyardError]:
    """Give the texts of each e-mail, or why it has none; each template is read once."""
    found: dict[int, Texts | JobyardError] = {}
    by_template: dict[str, list[int]] = defaultdict(list)
    for index, body in bodies.items():
        if body.template is None:
            found[index] = Texts(body.subject or "", body.text, body.html)
        else:
            by_template[body.template].append(index)
    if by_template:
        sources = await _read_sources(resources, owner_id, list(by_template))
        for name, indexes in by_template.items():
            variables = [bodies[index].variables or {} for index in indexes]
            found |= zip(indexes, await _render(resources, sources.get(name), variables), strict=True)
    return found


async def _read_sources(resources: Resources, owner_id: UUID, names: Sequence[str]) -> dict[str, EmailTemplate]:
    statement = select(EmailTemplate).where(EmailTemplate.owner_id == owner_id, EmailTemplate.name.in_(names))
    async with resources.sessions() as session:
        return {row.name: row for row in await session.scalars(statement)}


async def _render(
    resources: Resources, source: EmailTemplate | None, variables: Sequence[dict[str, Any]]
) -> Sequence[Texts | JobyardError]:
    if source is None:
        return [EmailTemplateNotFound("No such e-mail template.", pointer="/template") for _ in variables]
    raise NotImplementedError  # until templates can be made
