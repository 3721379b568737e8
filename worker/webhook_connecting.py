"""Connecting to a webhook's receiver, if its address is one that webhooks may go to.

A name is resolved once, each address that it has is judged, and the connection is made to the very address that was
judged: there is no second lookup that could give another one (DNS rebinding). Proxies of the environment are not used.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, cast

import httpcore2

from shared.webhook_urls import Address, Network, may_connect

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class NameNotResolved(Exception):
    """Is raised when a host's name leads nowhere."""


class AddressNotAllowed(Exception):
    """Is raised when a host has no address to which a webhook may be sent."""


async def resolve(host: str, port: int) -> list[Address]:
    """Resolve a name as the system does; raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(address[0]) for *_, address in found]


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens the connections of one delivery, which end with it; `tls` says that its URL is https."""

    def __init__(self, networks: Sequence[Network], *, tls: bool, resolve: Resolve = resolve) -> None:
        self._networks = networks
        self._tls = tls
        self._resolve = resolve
        self._plain = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())
        self._opened: list[httpcore2.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address of the host that is allowed and takes it.

        Raises `NameNotResolved`, `AddressNotAllowed` and httpcore2's errors; `timeout` seconds are for each address.
        """
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NameNotResolved(host) from error
        allowed = [each for each in found if may_connect(each, tls=self._tls, port=port, networks=self._networks)]
        if not allowed:
            raise AddressNotAllowed(host)
        for address in allowed[:-1]:
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._open(str(address), port, timeout, local_address, socket_options)
        return await self._open(str(allowed[-1]), port, timeout, local_address, socket_options)

    async def aclose(self) -> None:
        """Close what was opened: httpcore2 forgets a connection whose TLS handshake is broken off."""
        for stream in self._opened:
            await stream.aclose()

    async def _open(self, *where: Any) -> httpcore2.AsyncNetworkStream:
        stream = await self._plain.connect_tcp(*where)
        self._opened.append(stream)
        return stream
