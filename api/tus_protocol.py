"""What tus asks of every request and every answer: the protocol's version, and methods that a proxy may not pass."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from api.tus_headers import PREFIX, VERSION

_OVERRIDING = {"PATCH", "DELETE", "HEAD"}
_VERSIONED = {"POST", *_OVERRIDING}


class TusProtocol:
    """Refuses requests below `/v1/uploads` that do not speak the version, and names it in every answer there.

    A POST with `X-HTTP-Method-Override` becomes a request with that method.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 412."""
        if scope["type"] != "http" or not (scope["path"] + "/").startswith(PREFIX + "/"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = _versioned(send)
        method = headers.get("x-http-method-override", "").upper()
        if scope["method"] == "POST" and method in _OVERRIDING:
            scope = {**scope, "method": method}
        if scope["method"] in _VERSIONED and headers.get("tus-resumable") != VERSION:
            title = "Version of tus not supported"
            # The body, if there is one, is not read.
            more = {"Tus-Version": VERSION, "Connection": "close"}
            refusal = problem(
                412, "tus_version_not_supported", title, f"Tus-Resumable must be {VERSION}.", headers=more
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _versioned(send: Send) -> Send:
    async def send_versioned(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Tus-Resumable"] = VERSION
        await send(message)

    return send_versioned
