"""`/v1/files/{file_id}/content` and `/link`: read a file's content with a token, or by a signed link without one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import APIKeyQuery

from api import files
from api.content_openapi import GET_ANSWERS, GET_PARAMETERS, HEAD_ANSWERS, HEAD_PARAMETERS
from api.deps import CallerDep, ResourcesDep, bearer, read_caller
from api.file_access import Access, Disposition
from api.file_content import answer_content
from api.file_links import Link, LinkOrder, make_link
from api.problems import problems

router = APIRouter(prefix="/v1/files/{file_id}", tags=["files"])

_signature = APIKeyQuery(
    name="signature",
    scheme_name="SignedLink",
    auto_error=False,
    description="The URL that `POST /v1/files/{file_id}/link` gives, as it is: needs no token.",
)


async def get_access(
    request: Request,
    resources: ResourcesDep,
    file_id: UUID,
    signature: Annotated[str | None, Depends(_signature)],
    _: Annotated[str | None, Depends(bearer)],
    disposition: Annotated[Disposition, Query(description="`inline` is for what is safe to show.")] = "attachment",
    expires: Annotated[str | None, Query(description="Of a signed link: when it ends, in seconds since 1970.")] = None,
    key_id: Annotated[str | None, Query(description="Of a signed link: the key that it is signed with.")] = None,
) -> Access:
    """Give what the request may read; raises `Unauthorized`, `LinkNotValid`, `LinkExpired`.

    A URL that is a link is judged as one, whatever token comes with it: the same URL does the same for everybody.
    """
    if signature is None and expires is None and key_id is None:
        return Access(file_id, disposition, owner_id=read_caller(request, resources).user_id)
    return resources.links.verify(file_id, expires or "", key_id or "", signature or "", disposition)


AccessDep = Annotated[Access, Depends(get_access)]


@router.get("/content", response_class=Response, responses=GET_ANSWERS, openapi_extra=GET_PARAMETERS)
async def get_file_content(request: Request, resources: ResourcesDep, access: AccessDep) -> Response:
    """Download a file or a range of it, with a token or by a signed link."""
    return await answer_content(resources, access, request)


@router.head("/content", response_class=Response, responses=HEAD_ANSWERS, openapi_extra=HEAD_PARAMETERS)
async def head_file_content(request: Request, resources: ResourcesDep, access: AccessDep) -> Response:
    """Read the headers of a download, and learn whether the content is there."""
    return await answer_content(resources, access, request)


@router.post("/link", status_code=201, responses=problems(401, 404))
async def create_file_link(
    request: Request, response: Response, caller: CallerDep, resources: ResourcesDep, file_id: UUID, order: LinkOrder
) -> Link:
    """Make a link that reads the file's content without a token until it expires. It cannot be taken back by itself.

    It ends sooner when the file is deleted.
    """
    response.headers["Cache-Control"] = "no-store"
    file = await files.read_file(resources, caller.user_id, file_id)
    return make_link(resources.links, request, resources.settings.public_url, file.id, order)
