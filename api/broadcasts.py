"""Broadcasts: what operators tell every open WebSocket, in all web processes. See `api.broadcast_room`."""

from http import HTTPStatus
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import insert

from api.broadcast_room import Broadcast
from api.idempotency import once
from api.idempotency_key import REPLAYED, RequestKey
from api.resources import Resources
from api.transactions import session_connection
from shared.event_models import Broadcast as BroadcastRow

LONGEST_MESSAGE = 1000


class BroadcastBody(BaseModel):
    """Is what an operator wants to tell everybody."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"message": "Maintenance begins in ten minutes."}}
    )

    message: str = Field(min_length=1, max_length=LONGEST_MESSAGE, description="Plain text.")


async def send_broadcast(
    resources: Resources, operator_id: UUID, body: BroadcastBody, key: RequestKey | None
) -> Response:
    """Write a broadcast down, once per key, then have it told; raises the errors of `once`."""
    add = (
        insert(BroadcastRow)
        .values(message=body.message, sent_by=operator_id)
        .returning(BroadcastRow.id, BroadcastRow.message, BroadcastRow.created_at)
    )
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            row = (await session.execute(add)).one()
            broadcast = Broadcast(id=row.id, message=row.message, created_at=row.created_at)
            return Response(broadcast.model_dump_json(), 202, media_type="application/json")

        answer = await once(connection, key, session.begin_nested, write)
    if answer.status_code == HTTPStatus.ACCEPTED and REPLAYED not in answer.headers:
        resources.changes.announce_broadcast(Broadcast.model_validate_json(bytes(answer.body)))
    return answer
