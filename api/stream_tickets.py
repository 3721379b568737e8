"""Tickets of streams: a browser's EventSource and WebSocket cannot send headers, and no token belongs in a URL.

A ticket is 256 random bits, kept as a hash, good for one stream within 30 s. Who bears it is the user who got it, in
the role and until the end of the access token that it was got with.
"""

import secrets
import time
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, DateTime, and_, delete, func, insert
from starlette.requests import HTTPConnection

from api.deps import bearer, read_caller
from api.refresh_tokens import hash_token
from api.resources import Resources
from api.tokens import Caller, Unauthorized
from shared.event_models import StreamTicket

LIFETIME = timedelta(seconds=30)
PARAMETER = "ticket"


class TicketNotValid(Unauthorized):
    """Is raised for a ticket that is unknown, used or expired."""

    challenge = 'Bearer error="invalid_token"'


class NewStreamTicket(BaseModel):
    """Is a ticket, told this once."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"ticket": "GkhK1zq6Yz0Q1eJ4y3fWJc7R2b8uT5nXwLmVdPaSoEc", "expires_in": 30}}
    )

    ticket: str = Field(description="Put it into the URL of one stream: `?ticket=…`.")
    expires_in: int = Field(description="Seconds within which the stream must be opened.")


async def issue_ticket(resources: Resources, caller: Caller) -> NewStreamTicket:
    """Make a ticket for a caller; it ends no later than their token."""
    ticket = secrets.token_urlsafe(32)
    seconds = min(LIFETIME.total_seconds(), caller.expires_at - time.time())
    made = insert(StreamTicket).values(
        ticket_hash=hash_token(ticket),
        user_id=caller.user_id,
        role=caller.role,
        token_expires_at=func.to_timestamp(caller.expires_at),
        expires_at=_clock() + timedelta(seconds=seconds),
    )
    async with resources.sessions.begin() as session:
        await session.execute(made)
    return NewStreamTicket(ticket=ticket, expires_in=max(0, int(seconds)))


async def redeem_ticket(resources: Resources, ticket: str) -> Caller:
    """Use a ticket up; raises `TicketNotValid`. Of two rivals only one gets in."""
    fresh = and_(StreamTicket.expires_at > _clock(), StreamTicket.token_expires_at > _clock())
    used = (
        delete(StreamTicket)
        .where(StreamTicket.ticket_hash == hash_token(ticket))
        .returning(StreamTicket.user_id, StreamTicket.role, StreamTicket.token_expires_at, fresh)
        .execution_options(synchronize_session=False)
    )
    async with resources.sessions.begin() as session:
        row = (await session.execute(used)).one_or_none()
    if row is None or not row[3]:
        raise TicketNotValid("The ticket was used already, has expired, or is none.")
    return Caller(row[0], row[1], row[2].timestamp())


def _clock() -> ColumnElement[datetime]:
    return func.clock_timestamp(type_=DateTime(timezone=True))


def has_credentials(connection: HTTPConnection) -> bool:
    """Tell whether a request or handshake brings a token or a ticket, good or not."""
    return "authorization" in connection.headers or PARAMETER in connection.query_params


async def read_stream_caller(connection: HTTPConnection, resources: Resources) -> Caller:
    """Give who opens a stream, by the `Authorization` header or else by `?ticket=`; raises `Unauthorized`.

    An access token in the URL is never taken. No database connection is held afterwards.
    """
    ticket = connection.query_params.get(PARAMETER)
    if ticket is None or "authorization" in connection.headers:
        return read_caller(connection, resources)
    return await redeem_ticket(resources, ticket)


async def get_stream_caller(
    request: Request,
    _: Annotated[str | None, Depends(bearer)],
    __: Annotated[
        str | None,
        Query(
            alias=PARAMETER,
            description="A ticket of `POST /v1/stream-tickets`, where no `Authorization` header can be sent.",
        ),
    ] = None,
) -> Caller:
    """Give who opens a stream, as a dependency; raises `Unauthorized`. The parameters are there for OpenAPI."""
    return await read_stream_caller(request, request.app.state.resources)


StreamCallerDep = Annotated[Caller, Depends(get_stream_caller)]
