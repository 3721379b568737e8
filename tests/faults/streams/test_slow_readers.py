"""A client that takes nothing of what is sent: it is cut off, after a while or at once when the server stops."""

import http.client
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.api_server import Server, running_server
from tests.conftest import Owner
from tests.event_reader import follow
from tests.polling import await_that

JOBS = 300
WORDS = {"text": "x" * 50_000}
"""All of these jobs are much more than what the system keeps for a connection: 15 MB."""


@pytest.fixture(autouse=True)
def many_large_jobs(database: psycopg.Connection, owner: Owner, kinds: dict[str, JobKind]) -> None:
    for _ in range(JOBS):
        factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id, WORDS))


@contextmanager
def open_unread(server: Server, owner: Owner) -> Generator[socket.socket]:
    """Ask for all jobs; returns when the answer has begun, of which no more is read."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect((server.host, server.port))
        request = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {owner.headers['Authorization']}\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        yield connection


def wait_for_connections(server: Server, count: int) -> None:
    """Wait until the server has so many connections, whether their clients know or not."""

    def is_open(connection: Any) -> bool:
        return connection.laddr.port == server.port and bool(connection.raddr)

    await_that(lambda: sum(map(is_open, server.memory.net_connections("tcp"))) <= count)


class TestAShortPatience:
    """A server that waits for a second."""

    @pytest.fixture
    def server(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
        monkeypatch.setenv("JOBYARD_STREAM_STALL_SECONDS", "1")
        with running_server(settings) as server:
            yield server

    def test_who_takes_nothing_is_cut_off_while_others_are_told(self, server: Server, owner: Owner) -> None:
        with open_unread(server, owner), server.client() as client:
            with follow(client, "/v1/events", owner.headers) as stream:
                assert len({stream.next_job()["id"] for _ in range(JOBS)}) == JOBS
            # What the system has kept of the answer would still come, but the server has left.
            wait_for_connections(server, 0)


def test_a_stop_cuts_off_who_takes_nothing_and_ends_the_others_properly(settings: Settings, owner: Owner) -> None:
    with running_server(settings) as server, open_unread(server, owner), server.client() as client:
        with follow(client, "/v1/events", owner.headers) as stream, closing(begin_upload(server, owner)) as upload:
            for _ in range(JOBS):
                stream.next_job()
            server.memory.send_signal(signal.SIGTERM)
            assert stream.rest()[-1].data == {"reason": "stopping"}
            # Only the upload is left. Did the server wait for the other reader, its grace would end for both.
            wait_for_connections(server, 1)
            upload.sendall(b"end")
            answer = http.client.HTTPResponse(upload)
            answer.begin()
            assert answer.status == 201
        assert server.wait_exit() == 0


def begin_upload(server: Server, owner: Owner) -> socket.socket:
    """Send the head of an upload; returns when its route waits for the rest."""
    connection = server.connect()
    fields = ["Host: x", f"Authorization: {owner.headers['Authorization']}", "Content-Length: 3"]
    fields += ["Content-Type: text/plain", "Expect: 100-continue"]
    connection.sendall("\r\n".join(["POST /v1/files HTTP/1.1", *fields, "", ""]).encode())
    assert connection.recv(1024).startswith(b"HTTP/1.1 100")
    return connection
