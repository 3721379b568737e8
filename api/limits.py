"""Limits on what a request may be, enforced while it arrives: size of headers, size of bodies that are not uploads."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from shared.ids import new_id

LONGEST_HEADERS_BYTES = 32 * 1024
LARGEST_JSON_BYTES = 1024 * 1024
LARGER_JSON_BYTES = {"/v1/emails/batch": 10 * 1024 * 1024, "/v1/mailings": 20 * 1024 * 1024}
"""Of paths where more is asked for at once; their routes read the body after they know the caller."""
_LONGEST_REQUEST_ID = 64
_TOO_LARGE = "Body too large"
_CLOSE = {"Connection": "close"}  # the rest of the body is not read, so the connection cannot be used again
STREAMED_PATHS = frozenset({"/v1/files", "/v1/files/batch", "/v1/images", "/v1/uploads"})
"""Paths whose routes read the stream themselves and keep a limit of their own; so do those of a resumable upload."""
_STREAMED_FOLDER = "/v1/uploads/"


class RequestLimits:
    """Refuses requests that are too large before anything parses them, and names every request.

    The name is `X-Request-ID`; one that the client gives is kept if it is short and plain.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 413 or 431."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        request_id = str(new_id())
        length = total = 0
        for name, value in headers:
            total += len(name) + len(value)
            if name == b"content-length":
                length = int(value) if value.isdigit() else 0
            elif name == b"x-request-id" and len(value) <= _LONGEST_REQUEST_ID and value.isalnum():
                request_id = value.decode("ascii")
        send = _named(send, request_id)
        if total > LONGEST_HEADERS_BYTES:
            refusal = problem(431, "headers_too_large", "Headers too large", "The request's headers are too large.")
            await refusal(scope, receive, send)
        elif scope["path"] in STREAMED_PATHS or scope["path"].startswith(_STREAMED_FOLDER):
            await self._app(scope, receive, send)
        elif length > (most := LARGER_JSON_BYTES.get(scope["path"], LARGEST_JSON_BYTES)):
            detail = f"The body is larger than {most} bytes."
            refusal = problem(413, "body_too_large", _TOO_LARGE, detail, headers=_CLOSE)
            await refusal(scope, receive, send)
        else:
            await self._read_within_limit(scope, receive, send, most)

    async def _read_within_limit(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        counted = 0

        async def receive_counted() -> Message:
            nonlocal counted
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > most:
                # FastAPI lets only this kind of error out of its reading of the body.
                raise HTTPException(413, _TOO_LARGE, _CLOSE)
            return message

        await self._app(scope, receive_counted, send)


def _named(send: Send, request_id: str) -> Send:
    async def send_named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    return send_named
