"""What bounds `/v1/ws`: whose pages may open it, and how much each connection may say."""

import time
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from api.deps import Forbidden
from shared.settings import Settings

MESSAGES_PER_SECOND = 10.0
MESSAGES_AT_ONCE = 50.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginNotAllowed(Forbidden):
    """Is raised when a page of another site opens a WebSocket."""

    code = "origin_not_allowed"
    title = "Origin not allowed"


def require_origin(connection: HTTPConnection, settings: Settings) -> None:
    """Let in the service's own pages, those of `cors_origins`, and what is no browser; raises `OriginNotAllowed`.

    Browsers hold WebSockets to no rule of origins themselves.
    """
    origin = connection.headers.get("origin")
    if origin is None or "*" in settings.cors_origins or origin in settings.cors_origins:
        return
    given = _place(origin)
    host = connection.headers.get("host", "")
    # Behind a proxy the scheme is not known here; what counts is that the page came from the host that was asked.
    own = [f"{origin.partition('://')[0]}://{host}", settings.public_url, *settings.cors_origins]
    if given is None or given not in map(_place, own):
        raise OriginNotAllowed("Pages of this origin may not open a WebSocket here.")


def _place(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


class MessageRate:
    """Is a token bucket: a client may send so many messages at once, and so many a second."""

    def __init__(self) -> None:
        self._left = MESSAGES_AT_ONCE
        self._at = time.monotonic()

    def take(self) -> bool:
        """Count a message; False when it is one too many."""
        now = time.monotonic()
        self._left = min(MESSAGES_AT_ONCE, self._left + (now - self._at) * MESSAGES_PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
