"""What only a real server shows: memory, slow and broken connections, a full disk."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import psycopg
import pytest

from api.incoming_file import BLOCK_BYTES
from shared.settings import Settings
from tests.api_server import CAP, Server
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part
from tests.integration.files.conftest import StartServer

MEBIBYTE = 1024 * 1024
BLOCK = b"0123456789abcde\n" * 4096
SLOW = 25


@pytest.mark.parametrize("as_form", [False, True])
def test_memory_stays_flat_both_ways(start_server: StartServer, owner: Owner, *, as_form: bool) -> None:
    server = start_server()
    opening, closing = form(part("file", b"|", "a.txt")).split(b"|")
    whole = hashlib.sha256()
    highest = 0

    def body(blocks: int) -> Iterator[bytes]:
        nonlocal highest
        yield opening if as_form else b""
        for _ in range(blocks):
            highest = max(highest, server.memory.memory_info().rss)
            whole.update(BLOCK)
            yield BLOCK
        yield closing if as_form else b""

    with server.client() as client:
        headers = owner.headers | (FORM if as_form else {})
        warm = client.post("/v1/files", content=body(32), headers=headers)
        assert client.get(warm.json()["links"]["content"], headers=owner.headers).status_code == 200
        before, whole, highest = server.memory.memory_info().rss, hashlib.sha256(), 0

        answer = client.post("/v1/files", content=body(20 * MEBIBYTE // len(BLOCK)), headers=headers)

        assert answer.status_code == 201
        assert (answer.json()["size"], answer.json()["sha256"]) == (20 * MEBIBYTE, whole.hexdigest())
        received = hashlib.sha256()
        with client.stream("GET", answer.json()["links"]["content"], headers=owner.headers) as content:
            for chunk in content.iter_bytes():
                highest = max(highest, server.memory.memory_info().rss)
                received.update(chunk)
        assert received.hexdigest() == whole.hexdigest()
    assert highest - before < 6 * MEBIBYTE


def _begin(server: Server, owner: Owner, length: int, sent: bytes) -> socket.socket:
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: jobyard\r\nContent-Length: {length}\r\n"
        f"Authorization: {owner.headers['Authorization']}\r\nConnection: close\r\n\r\n"
    )
    connection = socket.create_connection((server.host, server.port), timeout=60)
    connection.sendall(head.encode() + sent)
    return connection


def test_an_upload_that_breaks_off_anywhere_leaves_nothing(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server = start_server()
    whole = BLOCK * 20
    with server.client() as client:
        assert client.get("/health/live").status_code == 200
        for cut in range(0, len(whole), len(BLOCK)):
            with _begin(server, owner, len(whole), whole[:cut]):
                # A block is stored once it is full, so only then there is something to wait for.
                while cut >= BLOCK_BYTES and not blobs(settings.storage_dir):
                    client.get("/health/live")
            while blobs(settings.storage_dir) or count(database, "uploads"):
                client.get("/health/live")
    assert count(database, "files") == 0
    assert database.execute("SELECT bytes, files FROM storage_usage").fetchall() == [(0, 0)]


def test_a_killed_server_leaves_a_row_that_says_so(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server = start_server()
    with _begin(server, owner, 10 * MEBIBYTE, BLOCK * 20):
        while not blobs(settings.storage_dir):
            assert server.memory.is_running()
        assert database.execute("SELECT size FROM uploads").fetchall() == [(10 * MEBIBYTE,)]
        server.memory.kill()
    server.wait_exit()
    assert (count(database, "uploads"), count(database, "files")) == (1, 0)
    assert database.execute("SELECT bytes, files FROM storage_usage").fetchall() == [(10 * MEBIBYTE, 1)]


def test_the_same_upload_twice_at_once_is_two_files(
    start_server: StartServer, owner: Owner, database: psycopg.Connection
) -> None:
    server = start_server()
    whole = BLOCK * 20
    with _begin(server, owner, len(whole), whole[:-1]) as one, _begin(server, owner, len(whole), whole[:-1]) as other:
        for connection in (one, other):
            connection.sendall(whole[-1:])
        assert [connection.recv(12) for connection in (one, other)] == [b"HTTP/1.1 201"] * 2
    assert database.execute("SELECT count(DISTINCT id), count(DISTINCT sha256) FROM files").fetchall() == [(2, 1)]


def test_slow_clients_hold_no_database_connection(
    start_server: StartServer, owner: Owner, database: psycopg.Connection
) -> None:
    server = start_server()
    with server.client() as client, ExitStack() as stack:
        large = client.post("/v1/files", content=BLOCK * 320, headers=owner.headers).json()
        uploads = [stack.enter_context(_begin(server, owner, len(PNG), PNG[:-1])) for _ in range(SLOW)]
        path = large["links"]["content"]
        for _ in range(SLOW):
            reader = stack.enter_context(server.client())
            stack.enter_context(reader.stream("GET", path, headers=owner.headers))

        assert client.get(large["links"]["self"], headers=owner.headers).json() == large
        open_transactions = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'"
        assert database.execute(open_transactions).fetchone() == (0,)
        for upload in uploads:
            upload.sendall(PNG[-1:])
        assert [upload.recv(12) for upload in uploads] == [b"HTTP/1.1 201"] * SLOW


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("first", "status"), [(b"words ", 413), (b"\x7fELF", 415)])
def test_a_refused_client_hears_why(
    start_server: StartServer, owner: Owner, settings: Settings, first: bytes, status: int, *, chunked: bool
) -> None:
    size = CAP + MEBIBYTE

    def body() -> Iterator[bytes]:
        yield first + bytes(len(BLOCK) - len(first)) if status == 415 else BLOCK
        for _ in range(size // len(BLOCK) - 1):
            yield BLOCK

    length = {} if chunked else {"Content-Length": str(size if status == 413 else CAP)}
    with start_server().client() as client:
        for _ in range(3):
            content = body() if chunked or status == 413 else _cut(body(), CAP)
            answer = client.post("/v1/files", content=content, headers=owner.headers | length)
            assert answer.status_code == status
        assert client.post("/v1/files", content=PNG, headers=owner.headers).status_code == 201
    assert len(blobs(settings.storage_dir)) == 1


def _cut(body: Iterator[bytes], size: int) -> Iterator[bytes]:
    for block in body:
        yield block[:size]
        size -= len(block)
        if size <= 0:
            return


def test_a_full_disk(start_server: StartServer, owner: Owner, settings: Settings) -> None:
    # A limit on the size of files (in units of 512 bytes) fails as a full disk does, without needing one.
    with start_server("ulimit -f 4096;").client() as client:
        answers: list[httpx2.Response] = [
            client.post("/v1/files", content=BLOCK * 64, headers=owner.headers),
            client.post(
                "/v1/files", content=BLOCK * 32 + b"one byte more than fits is in a buffer", headers=owner.headers
            ),
            client.post("/v1/files", files={"file": ("a.txt", BLOCK * 33)}, headers=owner.headers),
            client.post("/v1/files/batch", files=[("files", ("a.txt", BLOCK * 33))], headers=owner.headers),
        ]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(507, "storage_full")] * 4
        assert blobs(settings.storage_dir) == []
        assert client.post("/v1/files", content=PNG, headers=owner.headers).status_code == 201
