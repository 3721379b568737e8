"""SIGTERM and SIGINT to the API: whoever waits is answered at once, what is under way is finished."""

import http.client
import json
import signal
import socket
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.api_server import Server, running_server
from tests.conftest import Owner

JSON = dict[str, Any]
WAITERS = 50
BODY = b'{"kind": "demo.countdown", "input": {}}'
CONTENT = b"0123456789abcde\n" * 4096
FIRST = "GET /health/live HTTP/1.1\r\nHost: jobyard\r\n\r\n"


def head(line: str, owner: Owner, *more: str) -> str:
    fields = ["Host: jobyard", f"Authorization: {owner.headers['Authorization']}", *more]
    return "\r\n".join([f"{line} HTTP/1.1", *fields, "", ""])


def wait(server: Server, request: bytes) -> socket.socket:
    """Send a request that waits; returns when the server has it.

    It is sent with another one, before it, in one piece: the answer to the first shows that the second has been read.
    """
    connection = server.connect()
    connection.sendall(FIRST.encode() + request)
    first = http.client.HTTPResponse(connection)
    first.begin()
    assert (first.status, json.loads(first.read())["status"]) == (200, "ok")
    return connection


def answer(connection: socket.socket) -> tuple[int, JSON, str]:
    """Read a complete answer; gives its status, its body and what it says of the connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    assert len(body) == int(response.headers["Content-Length"])
    return response.status, json.loads(body), response.headers["Connection"]


def begin_upload(server: Server, owner: Owner) -> socket.socket:
    """Send half an upload; returns when its route has begun to read."""
    connection = server.connect()
    more = (f"Content-Length: {len(CONTENT)}", "Content-Type: text/plain", "Expect: 100-continue")
    connection.sendall(head("POST /v1/files", owner, *more).encode())
    assert connection.recv(1024).startswith(b"HTTP/1.1 100")
    connection.sendall(CONTENT[: len(CONTENT) // 2])
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_waiters_are_answered_at_once_and_an_upload_is_finished(
    settings: Settings, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind], number: signal.Signals
) -> None:
    job_id = factories.enqueue(database, factories.new_job(kinds["demo.countdown"], owner.id))
    get = head(f"GET /v1/jobs/{job_id}", owner, "Prefer: wait=30").encode()
    plain = ("Content-Type: application/json", f"Content-Length: {len(BODY)}")
    post = head("POST /v1/jobs", owner, "Prefer: wait=30", *plain).encode() + BODY
    with running_server(settings) as server, ExitStack() as connections:
        waiting = [wait(server, request) for request in [get, post] * (WAITERS // 2)]
        late = wait(server, post[:-1])
        upload = begin_upload(server, owner)
        for connection in [*waiting, late, upload]:
            connections.enter_context(closing(connection))

        server.memory.send_signal(number)

        answers = [answer(connection) for connection in waiting]
        assert [status for status, _, _ in answers] == [200, 202] * (WAITERS // 2)
        assert {(job["state"], said) for _, job, said in answers} == {("queued", "close")}
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        # The stop found this request half sent: it is taken, but does not begin to wait.
        late.sendall(post[-1:])
        assert answer(late)[0] == 202
        upload.sendall(CONTENT[len(CONTENT) // 2 :])
        status, file, said = answer(upload)
        assert (status, file["size"], said) == (201, len(CONTENT), "close")
        assert server.wait_exit() == 0
    assert [path.stat().st_size for path in blobs(settings)] == [len(CONTENT)]


def blobs(settings: Settings) -> list[Path]:
    return [path for path in settings.storage_dir.rglob("*") if path.is_file()]
