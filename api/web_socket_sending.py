"""What goes out on one WebSocket: one message after the other, each within a time, whoever sends it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus

from pydantic import BaseModel
from starlette.websockets import WebSocket

from api.problems import InputError, Problem, errors_of
from api.web_socket_messages import End, EndReason, ErrorMessage, MessageNotValid
from shared.errors import JobyardError

CODES: dict[EndReason, int] = {
    "stopping": 1001,
    "failed": 1011,
    "token_expired": 4401,
    "not_authenticated": 4401,
    "too_many_streams": 4429,
    "slow": 1008,
    "too_many_messages": 1008,
    "too_many_errors": 1008,
}
"""How the connection is closed for each reason: by RFC 6455, section 7.4, or as the like status of HTTP with 4000."""
_LAST_WORDS_SECONDS = 1.0


class ConnectionEnd(Exception):
    """Is raised to end a connection; its client is told why."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason)
        self.reason: EndReason = reason


class Sending:
    """Sends to one client. `blocked` says that it does not read what it was sent."""

    def __init__(self, socket: WebSocket, stall_seconds: float) -> None:
        self._socket = socket
        self._stall_seconds = stall_seconds
        self._turn = asyncio.Lock()
        self._wanting = 0
        self.blocked = False

    async def send(self, text: str) -> None:
        """Send a message; raises `ConnectionEnd` when the client takes none for too long, and what Starlette does."""
        async with self.turn() as say:
            await say(text)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[Callable[[str], Awaitable[None]]]:
        """Keep everything else back until this block is over; it gives the function that sends within it."""
        self._wanting += 1
        try:
            async with self._turn:
                yield self._say
        finally:
            self._wanting -= 1

    async def _say(self, text: str) -> None:
        self.blocked = True
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._socket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise ConnectionEnd("slow") from None
        finally:
            self.blocked = False

    @property
    def is_busy(self) -> bool:
        """Whether a message is being sent, or waits for its turn."""
        # Not the lock's word: it is free for a moment when it goes from one to the next.
        return self._wanting > 0

    async def send_message(self, message: BaseModel) -> None:
        """Send one of the messages of `api.web_socket_messages`."""
        await self.send(message.model_dump_json())

    async def send_error(self, error: JobyardError, ref: str | None) -> None:
        """Say that a message was not done, and why."""
        await self.send_message(ErrorMessage(ref=ref, data=_problem_of(error)))

    async def close(self, reason: EndReason) -> None:
        """Say why, and close; a client that does not read is not waited for."""
        self._stall_seconds = _LAST_WORDS_SECONDS
        try:
            await self.send_message(End(reason=reason))
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._socket.close(CODES[reason], reason)
        except (ConnectionEnd, TimeoutError):
            return


def _problem_of(error: JobyardError) -> Problem:
    errors: list[InputError] | None = (
        list(error.errors) if isinstance(error, MessageNotValid) and error.errors else errors_of(error)
    )
    return Problem(
        type="about:blank",
        title=error.title,
        status=error.status,
        code=error.code,
        detail=error.detail,
        errors=errors,
    )


def is_clients_fault(error: JobyardError) -> bool:
    """Tell whether a client that goes on like this is to be closed."""
    return error.status < HTTPStatus.INTERNAL_SERVER_ERROR
