"""Requests of tus as a careful client makes them."""

import base64
import hashlib
from typing import Any

import httpx2
from fastapi.testclient import TestClient

from tests.conftest import Owner

VERSION = {"Tus-Resumable": "1.0.0"}
BODY_TYPE = "application/offset+octet-stream"

Client = TestClient | httpx2.Client


def begin(client: Client, owner: Owner, length: int, **headers: str) -> httpx2.Response:
    """Begin an upload; underscores in the names of headers are hyphens."""
    told = {"Upload-Length": str(length)} | _named(headers)
    return client.post("/v1/uploads", headers=owner.headers | VERSION | told)


def begun(client: Client, owner: Owner, length: int, **headers: str) -> str:
    """Begin an upload; gives its path."""
    answer = begin(client, owner, length, **headers)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


def patch(client: Client, owner: Owner, path: str, offset: int, content: Any, **headers: str) -> httpx2.Response:
    """Continue an upload."""
    told = {"Content-Type": BODY_TYPE, "Upload-Offset": str(offset)} | _named(headers)
    return client.patch(path, content=content, headers=owner.headers | VERSION | told)


def head(client: Client, owner: Owner, path: str) -> httpx2.Response:
    """Ask where an upload is."""
    return client.head(path, headers=owner.headers | VERSION)


def offset_of(client: Client, owner: Owner, path: str) -> int:
    """Ask where to continue."""
    answer = head(client, owner, path)
    assert answer.status_code == 200, answer.headers
    return int(answer.headers["upload-offset"])


def end(client: Client, owner: Owner, path: str) -> httpx2.Response:
    """Give an upload up."""
    return client.delete(path, headers=owner.headers | VERSION)


def metadata(**values: str) -> str:
    """Write the header Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def checksum(algorithm: str, content: bytes) -> str:
    """Write the header Upload-Checksum."""
    digest = hashlib.new(algorithm, content, usedforsecurity=False).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


def words(size: int, seed: int = 0) -> bytes:
    """Make text of so many bytes, different everywhere."""
    lines = "".join(f"{seed:04} {number:010}\n" for number in range(min(size, 1_000_000) // 16 + 1)).encode()
    return b"".join(b"block %010d\n" % block + lines for block in range(size // len(lines) + 1))[:size]


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
