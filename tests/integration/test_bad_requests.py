"""What no honest client sends: the answer is never a 500, and the server lives on and writes no traceback."""

import re
import socket
from contextlib import ExitStack

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.api_server import Server, running_server
from tests.conftest import Owner

PATIENCE_SECONDS = 60
HALF_OPEN = 100
JSON = {"Content-Type": "application/json"}
CHUNKED = JSON | {"Transfer-Encoding": "chunked"}
BODY = b'{"kind":"demo.countdown","input":{}}'
LENGTH = str(len(BODY))
GET_JOBS = "GET /v1/jobs"
POST_JOBS = "POST /v1/jobs"

DEEP = b'{"kind":"demo.countdown","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HOSTILE_BODIES = [
    b"", b"null", b"[]", b"\0", b"\xff\xfe{}", b"{", b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, DEEP,
    b'{"kind":"demo.countdown","input":{"steps":' + b"9" * 100_000 + b"}}",
    b'{"kind":"demo.countdown","input":{"step_seconds":1e400}}',
    b'{"kind":"demo.countdown","input":{"step_seconds":NaN}}',
    b'{"kind":"demo.countdown","input":{},"priority":' + b"9" * 5000 + b"}",
    b'{"kind":"demo.countdown","input":{},"ttl_seconds":Infinity}',
    b'{"kind":"demo.countdown","input":{},"unique_key":"\\u0000"}',
    b'{"kind":"demo.countdown","input":{},"unique_key":"\\ud800"}',
    b'{"kind":"\\ud800","input":{}}', b'{"\\ud800":1}', b'{"kind":"demo.countdown","input":{"\xff":1}}',
    b'{"email":1e400,"password":NaN}', b'{"email":"a@example.com","password":' + b"9" * 5000 + b"}",
    b'{"to":[' + b"9" * 5000 + b'],"subject":"\\ud800","text":"\\u0000"}',
    b'{"file_id":1e400,"renditions":[{"width":' + b"9" * 5000 + b"}]}",
]  # fmt: skip
BODY_ROUTES = [
    "/v1/jobs", "/v1/emails", "/v1/emails/batch", "/v1/mailings", "/v1/notifications", "/v1/images", "/v1/webhooks",
    "/v1/auth/register", "/v1/auth/login", "/v1/auth/refresh", "/v1/auth/logout",
]  # fmt: skip


def write(line: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write a request down, byte for byte as asked."""
    lines = [
        f"{line} HTTP/1.1",
        "Host: jobyard",
        "Connection: close",
        *(f"{name}: {headers[name]}" for name in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def statuses(server: Server, request: bytes) -> list[int]:
    """Send bytes and read to the end of the connection; gives the status of each answer."""
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as answers:
            received = answers.read()
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


LIVE = write("GET /health/live", {})


def attacks(me: dict[str, str]) -> dict[str, tuple[bytes, list[int]]]:
    """Give requests that break the rules, and how each is answered."""
    open_live = LIVE.replace(b"Connection: close\r\n", b"")
    return {
        "a header of 100 kB": (write(GET_JOBS, me | {"X-Big": "x" * 100_000}), [431]),
        "5000 headers": (write(GET_JOBS, me | {f"X-{number}": "x" for number in range(5000)}), [431]),
        "a path of 200 kB": (write(f"{GET_JOBS}/{'x' * 200_000}", me), [400]),
        "a path of 60 kB": (write(f"{GET_JOBS}/{'x' * 60_000}", me), [422]),
        "NUL in the path": (write(f"{GET_JOBS}/\0", me), [400]),
        "NUL in the path, encoded": (write(f"{GET_JOBS}/%00", me), [422]),
        "NUL in a file's path": (write("GET /docs/assets/%00", me), [404]),
        "a way out of a directory": (write("GET /docs/assets/..%2f..%2fcore.py", me), [404]),
        "NUL in a filter": (write(f"{GET_JOBS}?kind=%00", me), [422]),
        "a limit of 5000 digits": (write(f"{GET_JOBS}?limit={'9' * 5000}", me), [422]),
        "no HTTP": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", [400]),
        "no HTTP behind a good request": (open_live + b"\0\0\0\r\n\r\n", [400]),
        "two at once": (open_live + LIVE, [200, 200]),
        "chunks larger than they say": (write(POST_JOBS, me | CHUNKED, b"5\r\n" + BODY + b"\r\n0\r\n\r\n"), [400]),
        "chunks smaller than they say": (write(POST_JOBS, me | CHUNKED, b"5\r\nab\r\n0\r\n\r\n"), [400]),
        "a chunk of no size": (write(POST_JOBS, me | CHUNKED, b"zz\r\nhello\r\n0\r\n\r\n"), [400]),
        "a chunk of a negative size": (write(POST_JOBS, me | CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"), [400]),
        "a chunk without end": (write(POST_JOBS, me | CHUNKED, b"f" * 19 + b"\r\nhello\r\n"), [400]),
        "chunks and a length": (write(POST_JOBS, me | CHUNKED | {"Content-Length": "5"}, b"0\r\n\r\n"), [400]),
        "a negative length": (write(POST_JOBS, me | JSON | {"Content-Length": "-1"}, BODY), [400]),
        "two lengths": (
            write(POST_JOBS, me | JSON | {"Content-Length": f"5\r\nContent-Length: {LENGTH}"}, BODY),
            [400],
        ),
        "a length of 30 digits": (write(POST_JOBS, me | JSON | {"Content-Length": "9" * 30}, BODY), [400]),
        "a length of 9 exabytes": (write("POST /v1/files", me | {"Content-Length": str(2**63 - 1)}, b"x"), [413]),
        "an unknown charset": (
            write(
                POST_JOBS, me | {"Content-Type": "application/json; charset=klingon", "Content-Length": LENGTH}, BODY
            ),
            [202],
        ),
        "a token that is no ASCII": (write(GET_JOBS, {"Authorization": "Bearer \xff"}), [401]),
    }


def test_requests_that_break_the_rules_of_http(
    settings: Settings, owner: Owner, capfd: pytest.CaptureFixture[str]
) -> None:
    with running_server(settings) as server:
        answered = {name: statuses(server, request) for name, (request, _) in attacks(owner.headers).items()}
        assert statuses(server, LIVE) == [200]
        assert server.memory.is_running()
    assert answered == {name: expected for name, (_, expected) in attacks(owner.headers).items()}
    written = capfd.readouterr().err
    assert "Application shutdown complete" in written
    assert "Traceback" not in written


def test_requests_that_never_end_keep_nobody_waiting(settings: Settings, owner: Owner) -> None:
    half_header = write(GET_JOBS, owner.headers)[:60]
    half_body = write(POST_JOBS, owner.headers | JSON | {"Content-Length": LENGTH}, BODY[:10])
    with running_server(settings) as server, ExitStack() as stack:
        for begun in [half_header, half_body] * (HALF_OPEN // 2):
            connection = socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS)
            stack.enter_context(connection).sendall(begun)

        assert statuses(server, write(GET_JOBS, owner.headers)) == [200]


def test_a_body_that_ends_early_is_no_failure_of_ours(
    settings: Settings, owner: Owner, capfd: pytest.CaptureFixture[str]
) -> None:
    headers = owner.headers | JSON | {"Content-Length": LENGTH}
    routes = [POST_JOBS, "POST /v1/emails", "POST /v1/auth/login", "POST /v1/images", "POST /v1/files"]
    with running_server(settings) as server:
        for route in routes:
            with socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(write(route, headers, BODY[:10]))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("path", BODY_ROUTES)
def test_hostile_bodies(client: TestClient, owner: Owner, path: str) -> None:
    for body in HOSTILE_BODIES:
        answer = client.post(path, content=body, headers=owner.headers | JSON)
        assert answer.status_code in {400, 422}, body[:80]
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "FROB"])
def test_methods_that_a_path_does_not_have(client: TestClient, app: FastAPI, owner: Owner, method: str) -> None:
    paths: dict[str, dict[str, object]] = app.openapi()["paths"]
    some_id = "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"
    for path, operations in paths.items():
        # What tus says of itself is asked of every path of uploads, and described once.
        known = {*operations, "options"} if path.startswith("/v1/uploads") else {*operations}
        if method.lower() in known:
            continue
        headers = owner.headers | {"Tus-Resumable": "1.0.0"}
        answer = client.request(method, re.sub(r"\{\w+\}", some_id, path), headers=headers)
        assert answer.status_code == 405, path
        allowed = {name.upper() for name in known}
        # Some are also a place where an id could stand.
        if path in {"/v1/files/batch", "/v1/jobs/bulk"}:
            allowed |= {"GET", "DELETE"}
        if path == "/v1/emails/batch":
            allowed.add("GET")
        if path in {"/v1/files/batch", "/v1/emails/batch"}:
            allowed.add("PATCH")
        assert set(answer.headers["allow"].split(", ")) == allowed, path
