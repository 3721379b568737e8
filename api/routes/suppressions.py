"""`/v1/suppressions`: the addresses that your mail no longer goes to."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from api import suppressions
from api.deps import CallerDep, ResourcesDep
from api.idempotency_key import REPLAYED_HEADER, JsonKeyDep
from api.pages import Page, PageQuery, page_query
from api.problems import problems
from api.suppression_shapes import Address, Suppression, SuppressionBody, SuppressionReason
from api.suppressions import SuppressionFilter

router = APIRouter(prefix="/v1/suppressions", tags=["emails"])

_HEADERS = {"Location": {"schema": {"type": "string"}, "description": "The address's path."}} | REPLAYED_HEADER
_CREATED: dict[int | str, dict[str, Any]] = {
    200: {"model": Suppression, "description": "It is on the list already, and stays as it is.", "headers": _HEADERS},
    201: {"model": Suppression, "description": "It is on the list now.", "headers": _HEADERS},
}
# An address may hold a slash.
_ONE = "/{address:path}"
AddressInPath = Annotated[Address, Path(description="The address, percent-encoded.")]


async def suppression_filter(
    reason: Annotated[list[SuppressionReason] | None, Query(max_length=10, description="Any of these.")] = None,
    address: Annotated[Address | None, Query()] = None,
) -> SuppressionFilter:
    """Read which addresses are asked for."""
    return SuppressionFilter(reason or (), address)


@router.post("", status_code=201, responses=_CREATED | problems(401, 409))
async def create_suppression(
    caller: CallerDep, resources: ResourcesDep, body: SuppressionBody, key: JsonKeyDep
) -> Response:
    """Put an address on your list: recipients with it are `suppressed` from now on, and get no e-mail of yours.

    The list is asked when an e-mail is accepted and again just before it goes, so mail that waits is held back, too:
    its recipient becomes `suppressed` then. What is being handed to the mail server at this moment still goes.
    """
    return await suppressions.create_suppression(resources, caller.user_id, body, key)


@router.get("", responses=problems(401))
async def list_suppressions(
    caller: CallerDep,
    resources: ResourcesDep,
    page: Annotated[PageQuery, Depends(page_query)],
    wanted: Annotated[SuppressionFilter, Depends(suppression_filter)],
) -> Page[Suppression]:
    """List the addresses that your mail no longer goes to, newest first."""
    return await suppressions.list_suppressions(resources, caller.user_id, page, wanted)


@router.get(_ONE, responses=problems(401, 404))
async def get_suppression(caller: CallerDep, resources: ResourcesDep, address: AddressInPath) -> Suppression:
    """Read why an address is on your list."""
    return await suppressions.read_suppression(resources, caller.user_id, address)


@router.delete(_ONE, status_code=204, responses=problems(401, 404))
async def delete_suppression(caller: CallerDep, resources: ResourcesDep, address: AddressInPath) -> None:
    """Take an address off your list. E-mails that were accepted meanwhile still do not go to it.

    Who has unsubscribed or complained should ask you for this first.
    """
    await suppressions.delete_suppression(resources, caller.user_id, address)
