"""What both runners tell httpx2, and what its errors mean."""

import platform
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

from jobyard._version import __version__
from jobyard.errors import ConnectionFailed, JobyardError
from jobyard.flows import Body, Request

_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
_OURS = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Settings:
    """Says where the server is, and how many seconds its silence may last."""

    base_url: str
    timeout: float


def client_options(settings: Settings) -> dict[str, Any]:
    """Give the options of an httpx2 client.

    It follows no redirect, for a token must not go elsewhere, and asks a server on this machine without a proxy. Where
    that leaves no use for TLS, no authority is trusted: to read all of them takes longer than a request.
    """
    url = urlsplit(settings.base_url)
    local = url.hostname in _THIS_MACHINE
    agent = f"jobyard-python/{__version__} Python/{platform.python_version()}"
    return {
        "timeout": settings.timeout,
        "follow_redirects": False,
        "headers": {"User-Agent": agent},
        "trust_env": not local,
        "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if local and url.scheme == "http" else True,
    }


def request_options(settings: Settings, request: Request) -> dict[str, Any]:
    """Give the options of an httpx2 request, but for its body."""
    headers = dict(request.headers)
    if isinstance(request.body, Body) and request.body.size is not None:
        headers["Content-Length"] = str(request.body.size)
    options: dict[str, Any] = {
        "method": request.method,
        "url": settings.base_url + request.path,
        "headers": headers,
    }
    if request.query:
        options["params"] = list(request.query)
    if request.read_seconds is not None:
        options["timeout"] = httpx2.Timeout(settings.timeout, read=request.read_seconds)
    return options


def failure_of(error: httpx2.RequestError) -> JobyardError:
    """Make the client's own error of one of httpx2's; what the request held is in neither."""
    try:
        where = f"{error.request.method} {error.request.url.host}:{error.request.url.port or ''}".rstrip(":")
    except RuntimeError:
        where = "the request"
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, _OURS):
        failure = JobyardError(f"{where} cannot be sent: {said}")
    else:
        failure = ConnectionFailed(
            f"{where} got no answer: {said}",
            sent=not isinstance(error, _UNSENT),
            timed_out=isinstance(error, httpx2.ReadTimeout),
        )
    failure.__cause__ = error
    return failure
