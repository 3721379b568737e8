"""The texts of e-mails: those that a client wrote, and those that its templates make of variables."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from api.email_bodies import EmailBody
from api.email_templates import EmailTemplateNotFound, source_of
from api.resources import Resources
from shared.errors import JobyardError
from shared.mail_models import EmailTemplate
from shared.mail_templates import Content, TemplateSource


async def read_contents(
    resources: Resources, owner_id: UUID, bodies: Mapping[int, EmailBody]
) -> dict[int, Content | JobyardError]:
    """Give the texts of each e-mail, or why it has none; each template is read once."""
    found: dict[int, Content | JobyardError] = {}
    by_template: dict[str, list[int]] = defaultdict(list)
    for index, body in bodies.items():
        if body.template is None:
            found[index] = Content(body.subject or "", body.text, body.html)
        else:
            by_template[body.template].append(index)
    if by_template:
        sources = await _read_sources(resources, owner_id, list(by_template))
        for name, indexes in by_template.items():
            variables = [bodies[index].variables or {} for index in indexes]
            found |= zip(indexes, await _render(resources, sources.get(name), variables), strict=True)
    return found


async def _read_sources(resources: Resources, owner_id: UUID, names: Sequence[str]) -> dict[str, TemplateSource]:
    statement = select(EmailTemplate).where(EmailTemplate.owner_id == owner_id, EmailTemplate.name.in_(names))
    async with resources.sessions() as session:
        return {row.name: source_of(row) for row in await session.scalars(statement)}


async def _render(
    resources: Resources, source: TemplateSource | None, variables: Sequence[dict[str, Any]]
) -> Sequence[Content | JobyardError]:
    if source is None:
        return [EmailTemplateNotFound("No such e-mail template.", pointer="/template") for _ in variables]
    return await resources.renderer.render_each(source, variables)
