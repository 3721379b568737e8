"""`/v1/email-templates`: named templates of e-mails."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from api import email_templates
from api.deps import CallerDep, ResourcesDep
from api.email_bodies import TemplateName
from api.email_template_shapes import EmailTemplate, EmailTemplateBody, EmailTemplateSummary, Preview, PreviewBody
from api.pages import Page, PageQuery, page_query
from api.problems import problems

router = APIRouter(prefix="/v1/email-templates", tags=["emails"])

_PUT: dict[int | str, dict[str, Any]] = {
    200: {"model": EmailTemplate, "description": "Replaced."},
    201: {
        "model": EmailTemplate,
        "description": "Made.",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "The template's path."}},
    },
}


@router.put("/{name}", responses=_PUT | problems(401, 409))
async def put_email_template(
    caller: CallerDep, resources: ResourcesDep, name: TemplateName, body: EmailTemplateBody
) -> Response:
    """Make a template or replace its sources. E-mails and mailings accepted before keep what it said then.

    The language is Jinja's, in a sandbox: a template shows its variables and what it makes of them, within limits of
    time and size, and cannot use other templates.
    """
    return await email_templates.put_template(resources, caller.user_id, name, body)


@router.get("", responses=problems(401))
async def list_email_templates(
    caller: CallerDep, resources: ResourcesDep, page: Annotated[PageQuery, Depends(page_query)]
) -> Page[EmailTemplateSummary]:
    """List your templates by name, without their texts."""
    return await email_templates.list_templates(resources, caller.user_id, page)


@router.get("/{name}", responses=problems(401, 404))
async def get_email_template(caller: CallerDep, resources: ResourcesDep, name: TemplateName) -> EmailTemplate:
    """Read a template."""
    return await email_templates.read_template(resources, caller.user_id, name)


@router.delete("/{name}", status_code=204, responses=problems(401, 404))
async def delete_email_template(caller: CallerDep, resources: ResourcesDep, name: TemplateName) -> None:
    """Delete a template. E-mails and mailings accepted before keep what it said."""
    await email_templates.delete_template(resources, caller.user_id, name)


@router.post("/{name}/preview", responses=problems(401, 404))
async def preview_email_template(
    caller: CallerDep, resources: ResourcesDep, name: TemplateName, body: PreviewBody
) -> Preview:
    """Show what a recipient would get; nothing is sent.

    A variable that is missing is an error, which names all that are, unless the template has a default for it.
    """
    return await email_templates.preview_template(resources, caller.user_id, name, body.variables)
