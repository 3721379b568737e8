"""What a client remembers between its calls: where the server is, its tokens, and how stubborn to be."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

from jobyard.models import Tokens

_MARGIN_SECONDS = 30.0
"""An access token is renewed so long before its end: a large upload must not meet a 401 after its last byte."""


Renewing = Callable[[], AbstractContextManager[Tokens | None]]
"""Keeps other programs from renewing the tokens that they share with this one, and gives the newest."""


class Session:
    """Keeps them. Tokens change only within an exclusive flow; nothing secret is in the repr.

    `streams_work` is None until the events of a stream have come through (True) or were missed (False).
    """

    def __init__(
        self,
        *,
        base_url: str,
        timeout: float,
        retries: int,
        token: str | None = None,
        refresh_token: str | None = None,
        email: str | None = None,
        password: str | None = None,
        on_tokens: Callable[[Tokens], None] | None = None,
        renewing: Renewing | None = None,
    ) -> None:
        self.base_url = valid_base_url(base_url)
        self.timeout = timeout
        self.retries = retries
        self.access_token = token
        self.refresh_token = refresh_token
        self.email = email
        self.password = password
        self.streams_work: bool | None = None
        self.renewing = renewing
        self._on_tokens = on_tokens
        self._ends = float("inf")

    def __repr__(self) -> str:
        return f"Session({self.base_url!r})"

    @property
    def needs_token(self) -> bool:
        """Whether there is none, or none that is good for much longer, and another can be had."""
        can_have = self.refresh_token is not None or self.password is not None
        return can_have and (self.access_token is None or time.monotonic() >= self._ends)

    def keep(self, tokens: Tokens) -> None:
        """Use these tokens from now on, and tell whoever wants to store them."""
        self.use(tokens)
        if self._on_tokens is not None:
            self._on_tokens(tokens)

    def use(self, tokens: Tokens) -> None:
        """Use these tokens, which are stored already, from now on."""
        self.access_token = tokens.access_token
        self.refresh_token = tokens.refresh_token
        lifetime = float("inf") if tokens.expires_in is None else float(tokens.expires_in)
        self._ends = time.monotonic() + max(lifetime - _MARGIN_SECONDS, lifetime / 2)

    def forget(self) -> None:
        """Have no tokens and no password any more."""
        self.access_token = self.refresh_token = self.email = self.password = None


def valid_base_url(url: str) -> str:
    """Give the URL without a slash at its end; raises `ValueError` for what is none of a server."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("the base URL must be like https://jobs.example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the base URL must hold no user and no password")
    return url.rstrip("/")
