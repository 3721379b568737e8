"""Uploads that arrive in two halves, so that something can happen between them."""

import http.client
import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.api_server import Server
from tests.conftest import Owner
from tests.integration.idempotency.requests import KEY, keys
from tests.polling import await_that

HALF = b"half of the words\n" * 30_000
"""More than is written to the storage in one block."""


class SlowUpload:
    """Is a raw upload under a key of which one half was sent."""

    def __init__(self, server: Server, owner: Owner, path: str = "/v1/files") -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self._connection.putrequest("POST", path)
        for name, value in owner.headers.items():
            self._connection.putheader(name, value)
        self._connection.putheader("Idempotency-Key", KEY)
        self._connection.putheader("Content-Length", str(2 * len(HALF)))
        self._connection.endheaders(HALF)

    def finish(self) -> tuple[int, dict[str, str], Any]:
        """Send the other half; gives status, headers and document."""
        self._connection.send(HALF)
        answer = self._connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(answer.read())

    def abort(self) -> None:
        """Go away."""
        self._connection.close()


@contextmanager
def held_upload(
    server: Server, owner: Owner, database: psycopg.Connection, path: str = "/v1/files"
) -> Generator[SlowUpload]:
    """Begin an upload and wait until it holds its key by a new claim."""
    before = claims(database)
    upload = SlowUpload(server, owner, path)
    await_that(lambda: claims(database) not in ([], before))
    try:
        yield upload
    finally:
        upload.abort()


def claims(database: psycopg.Connection) -> list[Any]:
    """Read who holds the keys."""
    return database.execute("SELECT claim_id FROM idempotency_keys ORDER BY claim_id").fetchall()


def let_leases_lapse(database: psycopg.Connection) -> None:
    """Let a minute pass, as far as leases know."""
    database.execute("UPDATE idempotency_keys SET lease_expires_at = lease_expires_at - interval '1 minute'")


def wait_until_released(database: psycopg.Connection) -> None:
    """Return once no key is held."""
    while keys(database):
        pass
