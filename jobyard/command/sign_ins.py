"""The sign-in of one service as the client uses it: read from the file, renewed by one command at a time."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from jobyard.command.credentials import CredentialsFile, SignIn
from jobyard.models import Tokens

_MARGIN_SECONDS = 30.0
_DEFAULT_LIFETIME_SECONDS = 900


class StoredSignIn:
    """Is what the file has of one service."""

    def __init__(self, file: CredentialsFile, url: str) -> None:
        self._file = file
        self._url = url
        self._kept = file.find(url)

    @property
    def access_token(self) -> str | None:
        """The access token, unless it is about to end."""
        if self._kept is None or self._kept.expires_at - time.time() < _MARGIN_SECONDS:
            return None
        return self._kept.access_token

    @property
    def refresh_token(self) -> str | None:
        """What the next tokens are asked for with."""
        return self._kept.refresh_token if self._kept else None

    @contextmanager
    def renewing(self) -> Generator[Tokens | None]:
        """Keep other commands from renewing, and give the newest tokens: one of them may just have done so."""
        with self._file.locked():
            self._kept = self._file.find(self._url)
            yield None if self._kept is None else _tokens(self._kept)

    def keep(self, tokens: Tokens) -> None:
        """Keep renewed tokens; the client calls it within `renewing`."""
        # Signed out meanwhile, by another command: then it stays so.
        if self._kept is not None:
            self._kept = sign_in_of(self._kept.email, tokens)
            self._file.keep(self._url, self._kept)


def sign_in_of(email: str, tokens: Tokens) -> SignIn:
    """Make what is kept of tokens that have just been given."""
    lifetime = _DEFAULT_LIFETIME_SECONDS if tokens.expires_in is None else tokens.expires_in
    return SignIn(email, tokens.access_token, tokens.refresh_token, time.time() + lifetime)


def _tokens(kept: SignIn) -> Tokens:
    return Tokens(
        access_token=kept.access_token,
        refresh_token=kept.refresh_token,
        expires_in=int(kept.expires_at - time.time()),
    )
