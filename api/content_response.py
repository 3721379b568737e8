"""Sending an open content: blocks as large as the client is fast, and a cut rather than a silently short body."""

import asyncio
import logging

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.downloads import OpenContent
from shared.errors import JobyardError

logger = logging.getLogger(__name__)

SMALLEST_BLOCK_BYTES = 64 * 1024
FIRST_BLOCK_BYTES = 256 * 1024
LARGEST_BLOCK_BYTES = 1024 * 1024
"""A client that is fast costs the fewest hops between threads; one that is slow holds little memory: two blocks."""
_GROWTH = 32
"""A block is this part of what was sent at most: the first ten megabytes may only have filled the system's buffers."""
_SLOW_SECONDS = 0.1
STALLED_SECONDS = 300
"""A client that takes not even the smallest block in this time has gone without saying so."""


class ContentResponse(Response):
    """Sends what is left of an open content and closes it, however the sending ends."""

    def __init__(self, content: OpenContent, first: bytes, status: int, headers: dict[str, str]) -> None:
        # Not by the constructor of the base, which would set a body.
        self.status_code = status
        self.background = None
        self.body = b""
        self.init_headers(headers)
        self._content = content
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol's
        """Send the response; the server closes the connection when this returns before all was sent."""
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_blocks(send, gone)
        except TimeoutError:
            logger.info("a download was cut: the client took nothing for %d s", STALLED_SECONDS)
        except JobyardError as error:
            logger.error("a download was cut: %s", error, exc_info=error.__cause__)  # noqa: TRY400 - the cause says more
        finally:
            gone.cancel()
            self._content.close()

    async def _send_blocks(self, send: Send, gone: "asyncio.Future[None]") -> None:
        clock = asyncio.get_running_loop().time
        block, size, sent, self._first = self._first, FIRST_BLOCK_BYTES, 0, b""
        while not gone.done():
            more = self._content.left > 0
            began = clock()
            async with asyncio.timeout(STALLED_SECONDS):
                # Comes back when the block before is with the operating system, most of it: see uvicorn's flow control.
                await send({"type": "http.response.body", "body": block, "more_body": more})
            if not more:
                return
            sent += len(block)
            if clock() - began > _SLOW_SECONDS:
                size = max(size // 2, SMALLEST_BLOCK_BYTES)
            elif size * 2 * _GROWTH <= sent:
                size = min(size * 2, LARGEST_BLOCK_BYTES)
            block = await self._content.read(size)


async def _disconnect(receive: Receive) -> None:
    # The server swallows what is sent to a client that has gone: without this all the rest would be read for nobody.
    while (await receive())["type"] != "http.disconnect":
        pass
