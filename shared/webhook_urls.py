"""Where webhooks may go: the check of a URL before it is stored, and of an address before it is connected to.

A name says nothing about where it leads, so names are judged when the connection is made, by the address that is then
used (`worker/webhook_connecting.py`). Here a URL is refused for what can be seen of it.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from shared.errors import JobyardError
from shared.webhook_settings import WebhookSettings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2048
_WEB_PORTS = frozenset((80, 443))
_FIRST_FREE_PORT = 1024
_NAME = re.compile(r"(?!.{254})[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)*\.?")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\.?")
_PRINTABLE = re.compile(r"[!-~]+")

# What `is_global` of older Python versions lets through.
_SPECIAL = [
    ip_network(network)
    for network in (
        "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
    )
]  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = re.compile(r"(0000|0200):5efe:[0-9a-f]{4}:[0-9a-f]{4}$")


class WebhookUrlNotAllowed(JobyardError):
    """Is raised for a URL to which no webhook may be sent."""

    status = 422
    code = "webhook_url_not_allowed"
    title = "Webhook URL not allowed"


def require_webhook_url(url: str, settings: WebhookSettings, *, pointer: str | None = None) -> None:
    """Refuse a URL to which no webhook may be sent.

    It must be https, of at most 2,048 printable ASCII characters, without user, password and fragment, on port 443,
    80 or one from 1024 on; an address in it must be public. http, and other ports, are for the allowed networks: with
    them set a name may have them here, and is judged when the connection is made.
    Raises `WebhookUrlNotAllowed`, with `pointer` saying where the URL stood.
    """
    fault = _fault(url, settings.webhook_networks)
    if fault is not None:
        raise WebhookUrlNotAllowed(fault, pointer=pointer)


def may_connect(address: Address, *, tls: bool, port: int, networks: Sequence[Network]) -> bool:
    """Tell whether a webhook may be sent to this very address."""
    plain = _mapped(address)
    if any(plain in network for network in networks):
        return True
    return tls and _is_open(port) and is_public(address)


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet; one that wraps an IPv4 address, whether that does.

    One with a zone does not: that names a link of this machine.
    """
    if isinstance(address, IPv4Address):
        return _is_public(address)
    if address.scope_id is not None:
        return False
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64:
        return _is_public(last)
    return _is_public(address) and (_ISATAP.search(address.exploded) is None or _is_public(last))


def _fault(url: str, networks: Sequence[Network]) -> str | None:
    if len(url) > LONGEST_URL or not _PRINTABLE.fullmatch(url):
        return f"The URL must be of at most {LONGEST_URL} printable ASCII characters; names of others begin with xn--."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "This is no URL."
    if parts.username is not None or parts.password is not None or "#" in url or "\\" in url:
        return "The URL must have no user, no password, no fragment and no backslash."
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        return "The URL must begin with https:// and name a host; no port is 0."
    return _host_fault(parts, host, port_of(parts.scheme, port), networks)


def _host_fault(parts: SplitResult, host: str, port: int, networks: Sequence[Network]) -> str | None:
    tls = parts.scheme == "https"
    try:
        address = ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2] or host.rstrip(".").rpartition(".")[2]
        # In brackets are addresses only: of a version to come, too, which looks like a name.
        if "[" in parts.netloc or not _NAME.fullmatch(host) or _NUMBER.fullmatch(last):
            return "The URL's host is neither a name nor an address."
        if not networks and not (tls and _is_open(port)):
            return "The URL must be https, on port 443, 80 or one from 1024 on."
        return None
    if "%" in host or not may_connect(address, tls=tls, port=port, networks=networks):
        return "The URL must be https, and its address a public one."
    return None


def port_of(scheme: str, port: int | None) -> int:
    """Give the port that a URL means."""
    return port if port is not None else 443 if scheme == "https" else 80


def _is_open(port: int) -> bool:
    return port in _WEB_PORTS or port >= _FIRST_FREE_PORT


def _mapped(address: Address) -> Address:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not any(address in network for network in _SPECIAL)
    )
