"""Sending one webhook: a POST, and the beginning of what is answered. What went wrong is one stable word."""

import asyncio
import logging
import ssl
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpcore2

from shared.settings import Settings
from shared.webhook_urls import WebhookUrlNotAllowed, require_webhook_url
from worker.webhook_connecting import AddressNotAllowed, GuardedBackend, NameNotResolved, Resolve, resolve

logger = logging.getLogger(__name__)

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 5.0
BODY_SECONDS = 2.0
"""Once there is a status, what else is answered is waited for no longer: it decides nothing."""
MOST_BODY_BYTES = 4096
MOST_TEXT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Is what a receiver answered; `text` is how its body begins."""

    status: int
    text: str
    retry_after: str | None


class NotAnswered(Exception):
    """Is raised when no status has come; `word` says why."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


async def post(
    url: str, headers: dict[str, str], body: bytes, settings: Settings, *, resolve: Resolve = resolve
) -> Answer:
    """Send a webhook; raises `NotAnswered`, 15 s later at most.

    Redirects are answers like any other. The connection is closed when 4 kB of the answer's body were read.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    complete = {"Host": parts.netloc, "Accept-Encoding": "identity", "Connection": "close"} | headers
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TOTAL_SECONDS
    with _named():
        require_webhook_url(url, settings)
        tls = parts.scheme == "https"
        context = _ssl_context(settings.webhook_ca_file) if tls else None
        backend = GuardedBackend(settings.webhook_networks, tls=tls, resolve=resolve)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(backend.aclose)
            pool = await stack.enter_async_context(httpcore2.AsyncConnectionPool(context, network_backend=backend))
            async with asyncio.timeout_at(deadline):
                response = await stack.enter_async_context(
                    pool.stream(
                        "POST", _url_of(parts, host), headers=list(complete.items()), content=body,
                        extensions={"timeout": {"connect": CONNECT_SECONDS}, "sni_hostname": host.rstrip(".")},
                    )
                )  # fmt: skip
            text = await _beginning(response, min(deadline, loop.time() + BODY_SECONDS))
            return Answer(response.status, text, _header(response, b"retry-after"))


def _url_of(parts: SplitResult, host: str) -> httpcore2.URL:
    # Split by the one parser that judged it: httpcore2's own drops what follows a semicolon in the path.
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return httpcore2.URL(scheme=parts.scheme, host=host, port=parts.port, target=target)


async def _beginning(response: httpcore2.Response, deadline: float) -> str:
    found = b""
    try:
        async with asyncio.timeout_at(deadline):
            async for part in response.aiter_stream():
                found += part[:MOST_BODY_BYTES]
                if len(found) >= MOST_BODY_BYTES:
                    break
    except (OSError, httpcore2.NetworkError, httpcore2.ProtocolError):
        pass
    return found[:MOST_TEXT_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")


def _header(response: httpcore2.Response, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


@contextmanager
def _named() -> Generator[None]:
    try:
        yield
    except (TimeoutError, httpcore2.TimeoutException) as error:
        raise NotAnswered("timeout") from error
    except NameNotResolved as error:
        raise NotAnswered("dns_error") from error
    except AddressNotAllowed as error:
        raise NotAnswered("address_not_allowed") from error
    except (WebhookUrlNotAllowed, httpcore2.UnsupportedProtocol, httpcore2.LocalProtocolError) as error:
        raise NotAnswered("url_not_allowed") from error
    except httpcore2.ConnectError as error:
        raise NotAnswered(_why_not_connected(error)) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise NotAnswered("no_answer") from error
    except OSError as error:
        raise NotAnswered("tls_error" if isinstance(error, ssl.SSLError) else "no_answer") from error


def _why_not_connected(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError | ssl.CertificateError):
            return "tls_error"
        if isinstance(cause, ConnectionRefusedError):
            return "connection_refused"
        cause = cause.__cause__ or cause.__context__
    return "connection_failed"


@lru_cache(maxsize=4)
def _ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            logger.error("JOBYARD_WEBHOOK_CA_FILE cannot be used: %s", error)  # noqa: TRY400 - the line says it all
            raise NotAnswered("tls_error") from error
    return context
