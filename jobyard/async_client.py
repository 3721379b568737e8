"""`AsyncJobyard`, whose methods are awaited. It has a module of its own: who blocks need not import asyncio."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from jobyard.async_runner import AsyncRunner
from jobyard.client import Client, session_of
from jobyard.models import Tokens
from jobyard.session import Renewing
from jobyard.transport import Settings


class AsyncJobyard(Client[AsyncRunner]):
    """Is `Jobyard` for asyncio: methods are awaited, iterators are asynchronous. Tasks of one loop may share it.

    The arguments are those of `Jobyard`.
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
        super().__init__(session, AsyncRunner(Settings(session.base_url, timeout)))

    async def close(self) -> None:
        """Close the connections."""
        await self.runner.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
