"""A registered user, and a client for requests that overlap."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

PASSWORD = "correct horse battery staple"


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio."""
    return "asyncio"


@dataclass(frozen=True, slots=True)
class Member:
    """Is somebody who has registered and signed in."""

    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers of their requests."""
        return bearer(self.access_token)


def bearer(token: str) -> dict[str, str]:
    """Make the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def credentials(email: str = "ada@example.com", password: str = PASSWORD) -> dict[str, str]:
    """Make the body of a registration or a sign-in."""
    return {"email": email, "password": password}


def pointers(problem: dict[str, Any]) -> set[str]:
    """Tell what a problem complains about."""
    return {error["pointer"] for error in problem["errors"]}


MakeMember = Callable[[str], Member]


@pytest.fixture
def make_member(client: TestClient) -> MakeMember:
    """Give what registers and signs in."""

    def make(email: str) -> Member:
        assert client.post("/v1/auth/register", json=credentials(email)).status_code == 201
        pair = client.post("/v1/auth/login", json=credentials(email)).json()
        return Member(email, pair["access_token"], pair["refresh_token"])

    return make


@pytest.fixture
def member(make_member: MakeMember) -> Member:
    """Register and sign in Ada."""
    return make_member("ada@example.com")


@pytest.fixture
async def overlapping(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Run the application on the test's own loop, for requests that overlap."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://jobyard.test") as client,
    ):
        yield client
