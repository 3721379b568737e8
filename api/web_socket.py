"""Opening and ending `/v1/ws`: who may connect, who it is, and what is said at the end."""

import asyncio
import contextlib
import logging

import psycopg
from psycopg_pool import PoolTimeout
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as EngineTimeout
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.problems import domain_problem
from api.resources import Resources
from api.stream_places import TooManyStreams
from api.stream_tickets import has_credentials, read_stream_caller
from api.tokens import Caller, Unauthorized
from api.web_socket_limits import require_origin
from api.web_socket_messages import Authenticate, MessageNotValid, read_message
from api.web_socket_sending import ConnectionEnd, Sending
from api.web_socket_session import Session
from api.web_socket_subscriptions import LedgerAway
from shared.errors import JobyardError

logger = logging.getLogger(__name__)

AUTHENTICATION_SECONDS = 10.0


async def serve_web_socket(socket: WebSocket, resources: Resources) -> None:
    """Serve a connection for as long as it lasts; a handshake that is refused is answered with a problem."""
    with contextlib.ExitStack() as held:
        try:
            require_origin(socket, resources.settings)
            caller = await _caller_of_handshake(socket, resources)
            if caller is None:
                held.enter_context(resources.unauthenticated.hold())
            else:
                held.enter_context(resources.stream_places.hold(caller.user_id))
        except JobyardError as error:
            await socket.send_denial_response(domain_problem(error))
            return
        sending = Sending(socket, resources.settings.stream_stall_seconds)
        try:
            await socket.accept()
            await _converse(socket, sending, resources, caller, held)
        except ConnectionEnd as end:
            await sending.close(end.reason)
        except WebSocketDisconnect:
            return
        except Exception:
            logger.exception("a WebSocket failed")
            await sending.close("failed")


async def _caller_of_handshake(socket: WebSocket, resources: Resources) -> Caller | None:
    if not has_credentials(socket):
        return None
    try:
        return await read_stream_caller(socket, resources)
    except (psycopg.Error, PoolTimeout, DBAPIError, EngineTimeout) as error:
        raise LedgerAway("The service cannot reach its database; try again later.") from error


async def _converse(
    socket: WebSocket, sending: Sending, resources: Resources, caller: Caller | None, held: contextlib.ExitStack
) -> None:
    ref = None
    if caller is None:
        caller, ref = await _authenticate(socket, sending, resources)
        held.close()
        try:
            held.enter_context(resources.stream_places.hold(caller.user_id))
        except TooManyStreams as error:
            await sending.send_error(error, ref)
            raise ConnectionEnd("too_many_streams") from None
    with resources.changes.feed(caller.user_id) as feed:
        await Session(socket, sending, resources, caller, feed).run(ref)


async def _authenticate(socket: WebSocket, sending: Sending, resources: Resources) -> tuple[Caller, str | None]:
    received = await _first_message(socket, resources)
    ref = None
    try:
        message = read_message(received.get("text"))
        ref = message.ref
        if not isinstance(message, Authenticate):
            raise Unauthorized("The first message must be authenticate.")
        return resources.tokens.read(message.token.get_secret_value()), ref
    except JobyardError as error:
        await sending.send_error(error, error.ref if isinstance(error, MessageNotValid) else ref)
        raise ConnectionEnd("not_authenticated") from None


async def _first_message(socket: WebSocket, resources: Resources) -> Message:
    receiving = asyncio.ensure_future(socket.receive())
    stopping = asyncio.ensure_future(resources.changes.stopping.wait())
    try:
        await asyncio.wait((receiving, stopping), timeout=AUTHENTICATION_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not receiving.done():
            raise ConnectionEnd("stopping" if stopping.done() else "not_authenticated")
        received = receiving.result()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005))
        return received
    finally:
        receiving.cancel()
        stopping.cancel()
