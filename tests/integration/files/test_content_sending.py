"""Sending a content, as only a real server shows it: cuts, resumed downloads, slow clients, a stop."""

import hashlib
import os
import socket
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from shared.settings import Settings
from tests.api_server import Server
from tests.conftest import Owner
from tests.faults.proxies.tcp_proxy import Proxy
from tests.integration.files.bodies import blobs
from tests.integration.files.conftest import StartServer
from tests.s3_server import S3Server

MEBIBYTE = 1024 * 1024
CONTENT = b"0123456789abcde\n" * (16 * MEBIBYTE // 16)
SLOW = 20


def store(server: Server, owner: Owner) -> tuple[str, str]:
    """Store the content; gives its path and its SHA-256."""
    with server.client() as client:
        stored = client.post("/v1/files", content=CONTENT, headers=owner.headers).json()
    return stored["links"]["content"], stored["sha256"]


@contextmanager
def begun(server: Server, owner: Owner, path: str) -> Generator[socket.socket]:
    """Ask for a content with a small window and read the first bytes only."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.settimeout(60)
        connection.connect((server.host, server.port))
        authorization = owner.headers["Authorization"]
        lines = [
            f"GET {path} HTTP/1.1",
            "Host: jobyard",
            f"Authorization: {authorization}",
            "Connection: close",
            "",
            "",
        ]
        connection.sendall("\r\n".join(lines).encode())
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield connection


def read_to_the_end(connection: socket.socket) -> bytes:
    received = bytearray()
    while block := connection.recv(MEBIBYTE):
        received += block
    return bytes(received).partition(b"\r\n\r\n")[2]


def test_a_blob_that_turns_out_shorter_cuts_the_connection(
    start_server: StartServer, owner: Owner, settings: Settings
) -> None:
    server = start_server()
    path, sha256 = store(server, owner)
    [blob] = blobs(settings.storage_dir)
    with begun(server, owner, path) as connection, server.client() as client:
        with client.stream("GET", path, headers=owner.headers) as answer:
            os.truncate(blob, 10 * MEBIBYTE)
            # No client takes it for the whole.
            with pytest.raises(httpx2.RemoteProtocolError):
                answer.read()
        received = read_to_the_end(connection)
        assert received == CONTENT[: 10 * MEBIBYTE]
        assert client.get(path, headers=owner.headers).json()["code"] == "content_gone"
        blob.write_bytes(CONTENT)

        # What a client does then: the rest, if it is still of the same content.
        rest = {"Range": f"bytes={len(received)}-", "If-Range": f'"{sha256}"'}
        answer = client.get(path, headers=owner.headers | rest)

    assert answer.status_code == 206
    assert hashlib.sha256(received + answer.content).hexdigest() == sha256


def test_a_line_to_the_bucket_that_breaks_is_mended(
    start_server: StartServer, owner: Owner, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(s3_server.endpoint).port
    assert port is not None
    with Proxy(port) as line:
        environment = s3_server.environment | {"AWS_ENDPOINT_URL": line.url(s3_server.endpoint)}
        for name, value in (environment | {"STORAGE_URL": s3_server.make_bucket()}).items():
            monkeypatch.setenv(name, value)
        server = start_server()
        path, _ = store(server, owner)
        with begun(server, owner, path) as mended, begun(server, owner, path) as cut:
            line.cut()
            assert read_to_the_end(mended) == CONTENT
            line.go_away()
            assert CONTENT.startswith(received := read_to_the_end(cut))
            assert len(received) < len(CONTENT)


def _is_open(server: Server, blob: Path) -> bool:
    return any(Path(file.path) == blob for file in server.memory.open_files())


def test_slow_clients_cost_little_memory_and_no_thread(
    start_server: StartServer, owner: Owner, settings: Settings
) -> None:
    server = start_server()
    path, sha256 = store(server, owner)
    [blob] = blobs(settings.storage_dir)
    with server.client() as client:
        fast = _downloader(client, owner, path)
        with ThreadPoolExecutor(SLOW) as threads:
            # As many at once as there will be slow ones: each thread of the server keeps a block's worth of memory.
            downloads = [threads.submit(fast) for _ in range(SLOW)]
            assert {download.result() for download in downloads} == {sha256}
        before = server.memory.memory_info().rss
        with ExitStack() as stack:
            slow = [stack.enter_context(begun(server, owner, path)) for _ in range(SLOW)]
            highest = 0
            for _ in range(10):
                assert fast() == sha256
                highest = max(highest, server.memory.memory_info().rss)
                for connection in slow:
                    connection.recv(16 * 1024)
            assert highest - before < SLOW * MEBIBYTE
            assert _is_open(server, blob)
        # Who has gone is noticed, and nothing is read for them any more.
        while _is_open(server, blob):
            client.get("/health/live")


def _downloader(client: httpx2.Client, owner: Owner, path: str) -> Callable[[], str]:
    def download() -> str:
        received = hashlib.sha256()
        with client.stream("GET", path, headers=owner.headers) as answer:
            for block in answer.iter_bytes():
                received.update(block)
        return received.hexdigest()

    return download


@pytest.mark.long
def test_a_stop_does_not_wait_for_a_client_that_reads_nothing(start_server: StartServer, owner: Owner) -> None:
    server = start_server()
    path, _ = store(server, owner)
    with begun(server, owner, path) as connection:
        server.memory.terminate()
        assert server.wait_exit() == 0
        assert len(read_to_the_end(connection)) < len(CONTENT)
