"""`/v1/stream-tickets`: how browsers, which cannot send headers with a stream, say who they are."""

from fastapi import APIRouter, Depends

from api import stream_tickets
from api.deps import CallerDep, ResourcesDep
from api.problems import problems
from api.routes.auth import forbid_storing
from api.stream_tickets import NewStreamTicket

router = APIRouter(prefix="/v1/stream-tickets", tags=["streams"])


@router.post("", status_code=201, responses=problems(401), dependencies=[Depends(forbid_storing)])
async def create_stream_ticket(caller: CallerDep, resources: ResourcesDep) -> NewStreamTicket:
    """Get a ticket that opens one stream of events within 30 s, in your name: `?ticket=…` in its URL."""
    return await stream_tickets.issue_ticket(resources, caller)
