"""What both clients have, and `Jobyard`, whose methods block."""

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from jobyard.admin import Admin
from jobyard.calls import R, Resource, call
from jobyard.emails import Emails
from jobyard.exchange import get, patch, post, read_as
from jobyard.files import Files
from jobyard.flows import Flow
from jobyard.jobs import Jobs
from jobyard.mailings import Mailings, Suppressions, Templates
from jobyard.models import Account, Limits, StreamTicket, Tokens
from jobyard.passwords import change_password
from jobyard.pictures import Archives, ImagePresets, Images
from jobyard.session import Renewing, Session
from jobyard.sync_runner import SyncRunner
from jobyard.tokens import register, sign_in, sign_out
from jobyard.transport import Settings
from jobyard.webhooks import Webhooks

DEFAULT_URL = "http://127.0.0.1:8000"
"""Where `make up` runs the server."""


class Client(Resource[R]):
    """Is what both clients have: the resources, and the account's own methods."""

    def __init__(self, session: Session, runner: R) -> None:
        super().__init__(session, runner)
        self.jobs: Jobs[R] = Jobs(session, runner)
        self.files: Files[R] = Files(session, runner)
        self.images: Images[R] = Images(session, runner)
        self.image_presets: ImagePresets[R] = ImagePresets(session, runner)
        self.archives: Archives[R] = Archives(session, runner)
        self.emails: Emails[R] = Emails(session, runner)
        self.mailings: Mailings[R] = Mailings(session, runner)
        self.templates: Templates[R] = Templates(session, runner)
        self.suppressions: Suppressions[R] = Suppressions(session, runner)
        self.webhooks: Webhooks[R] = Webhooks(session, runner)
        self.admin: Admin[R] = Admin(session, runner)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.session.base_url!r})"

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self.session.base_url

    @call
    def register(self, email: str, password: str, name: str | None = None) -> Flow[Account]:
        """Make an account, without signing in; raises `Conflict` when the address has one."""
        return (yield from register(self.session, email, password, name))

    @call
    def login(self, email: str, password: str) -> Flow[Tokens]:
        """Sign in, use the tokens from now on, and give them; raises `Unauthorized`."""
        return (yield from sign_in(self.session, email, password))

    @call
    def logout(self) -> Flow[None]:
        """Revoke this sign-in's refresh tokens and forget all tokens; an access token stays good until it ends."""
        yield from sign_out(self.session)

    @call
    def me(self) -> Flow[Account]:
        """Read the account whose token is used."""
        return read_as(Account, (yield from get(self.session, "/v1/users/me")))

    @call
    def rename(self, name: str | None) -> Flow[Account]:
        """Say how to address the account's person; None takes the name away."""
        return read_as(Account, (yield from patch(self.session, "/v1/users/me", {"name": name})))

    @call
    def change_password(self, current: str, new: str) -> Flow[Tokens]:
        """Change the account's password, which ends every sign-in; signs in anew and gives those tokens.

        Not sent again once it may have arrived. Raises `InvalidInput` when the current one is not right.
        """
        return (yield from change_password(self.session, current, new))

    @call
    def stream_ticket(self) -> Flow[StreamTicket]:
        """Have a ticket with which a browser of yours opens one stream of events or WebSocket, without your token."""
        return read_as(StreamTicket, (yield from post(self.session, "/v1/stream-tickets")))

    @call
    def limits(self) -> Flow[Limits]:
        """Read what the account may send and store, and how much it has."""
        return read_as(Limits, (yield from get(self.session, "/v1/limits")))


class Jobyard(Client[SyncRunner]):
    """Speaks with a Jobyard. Threads may share it; close it, or use it in a `with`.

    Without `base_url` and `token` these come from the environment: `JOBYARD_URL`, `JOBYARD_TOKEN`. A token is renewed
    by itself, by the refresh token or else by e-mail and password; `on_tokens` is told of each new pair. Programs that
    share a sign-in give `renewing`, which keeps them from using one refresh token twice. `timeout` is in seconds, for
    each silence of the server. What fails for a while is tried again, up to `retries` times: whatever is posted has a
    key by which the server does it once.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        refresh_token: str | None = None,
        email: str | None = None,
        password: str | None = None,
        timeout: float = 30.0,
        retries: int = 5,
        on_tokens: Callable[[Tokens], None] | None = None,
        renewing: Renewing | None = None,
    ) -> None:
        session = session_of(base_url, token, refresh_token, email, password, timeout, retries, on_tokens, renewing)
        super().__init__(session, SyncRunner(Settings(session.base_url, timeout)))

    def close(self) -> None:
        """Close the connections."""
        self.runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def session_of(
    base_url: str | None,
    token: str | None,
    refresh_token: str | None,
    email: str | None,
    password: str | None,
    timeout: float,
    retries: int,
    on_tokens: Callable[[Tokens], None] | None,
    renewing: Renewing | None,
) -> Session:
    """Make the session that the arguments of a client mean; raises `ValueError`."""
    if (email is None) != (password is None):
        raise ValueError("an e-mail address and a password go together")
    own = token is not None or refresh_token is not None or email is not None
    return Session(
        base_url=base_url or os.environ.get("JOBYARD_URL") or DEFAULT_URL,
        timeout=timeout,
        retries=retries,
        token=token if own else os.environ.get("JOBYARD_TOKEN") or None,
        refresh_token=refresh_token,
        email=email,
        password=password,
        on_tokens=on_tokens,
        renewing=renewing,
    )
