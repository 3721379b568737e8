"""Requests that make something, as a client sends them and sends them again."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import httpx2
import psycopg
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.files.bodies import PNG, count

KEY = "order-4711"
KEPT = ("content-type", "location", "etag", "retry-after", "jobyard-existing")
EMAIL = {"to": ["ann@example.com"], "subject": "Hello", "text": "Words"}
Client = TestClient | httpx2.Client
RENDITIONS = [{"width": 8, "format": "webp"}]


@dataclass(frozen=True)
class Sending:
    """Is a request under a key, and the table that it adds a row to."""

    path: str
    table: str
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def send(self, client: Client, owner: Owner, key: str | None = KEY) -> Any:
        """Send it."""
        keyed = {} if key is None else {"Idempotency-Key": key}
        return client.post(self.path, headers=owner.headers | self.headers | keyed, **self.body)

    def with_body(self, **body: Any) -> Self:
        """Make it another request to the same route."""
        return replace(self, body=body)

    def with_headers(self, **headers: str) -> Self:
        """Send more headers along."""
        return replace(self, headers=self.headers | headers)


Make = Callable[[Client, Owner], tuple[Sending, Sending]]
"""Makes a request, and one to the same route with another body."""


def job(_: Client, __: Owner) -> tuple[Sending, Sending]:
    first = Sending("/v1/jobs", "jobs", {"json": {"kind": "test.echo", "input": {"text": "a"}}})
    return first, first.with_body(json={"kind": "test.echo", "input": {"text": "b"}})


def bulk(_: Client, __: Owner) -> tuple[Sending, Sending]:
    first = Sending("/v1/jobs/bulk", "jobs", {"json": {"action": "cancel", "filter": {"tag": ["a"]}}})
    return first, first.with_body(json={"action": "cancel", "filter": {"tag": ["b"]}})


def retry(client: Client, owner: Owner) -> tuple[Sending, Sending]:
    links = job(client, owner)[0].send(client, owner, None).json()["links"]
    assert client.post(links["cancel"], headers=owner.headers).status_code == 200
    first = Sending(links["retry"], "jobs")
    return first, first.with_body(json={"anything": "else"})


def email(_: Client, __: Owner) -> tuple[Sending, Sending]:
    first = Sending("/v1/emails", "emails", {"json": EMAIL})
    return first, first.with_body(json=EMAIL | {"text": "Other words"})


def stored_image(client: Client, owner: Owner) -> tuple[Sending, Sending]:
    file_id = client.post("/v1/files", content=PNG, headers=owner.headers).json()["id"]
    first = Sending("/v1/images", "jobs", {"json": {"file_id": file_id, "renditions": RENDITIONS}})
    return first, first.with_body(json={"file_id": file_id, "renditions": [{"width": 9}]})


def image(_: Client, __: Owner) -> tuple[Sending, Sending]:
    first = Sending("/v1/images", "files", {"files": {"file": ("a.png", PNG)}, "data": {"width": "8"}})
    return first, first.with_body(files={"file": ("a.png", PNG)}, data={"width": "9"})


def file(_: Client, __: Owner) -> tuple[Sending, Sending]:
    first = Sending("/v1/files", "files", {"files": {"file": ("a.txt", b"some words")}})
    return first, first.with_body(files={"file": ("a.txt", b"other words")})


def file_and_job(_: Client, __: Owner) -> tuple[Sending, Sending]:
    first = Sending("/v1/files?process=file.inspect", "jobs", {"files": {"file": ("a.txt", b"some words")}})
    return first, replace(first, path="/v1/files")


def raw_file(_: Client, __: Owner) -> tuple[Sending, Sending]:
    named = {"Content-Disposition": 'attachment; filename="a.txt"'}
    first = Sending("/v1/files", "files", {"content": b"some words"}, named)
    return first, first.with_headers(**{"Content-Disposition": 'attachment; filename="b.txt"'})


def batch(_: Client, __: Owner) -> tuple[Sending, Sending]:
    good, empty, other = (("files", (name, text)) for name, text in (("a", b"good"), ("b", b""), ("c", b"other")))
    first = Sending("/v1/files/batch", "files", {"files": [good, empty]})
    return first, first.with_body(files=[good, other])


JSON_ROUTES: list[Make] = [job, bulk, retry, email, stored_image]
UPLOADS: list[Make] = [image, file, file_and_job, raw_file, batch]


def read_answer(answer: Any) -> tuple[Any, ...]:
    """Give what must be the same when an answer is given again."""
    return (answer.status_code, answer.content, *(answer.headers.get(name) for name in KEPT))


def assert_replayed(first: Any, second: Any) -> None:
    """Hold a second answer to the first."""
    assert first.is_success, first.text
    assert "idempotency-replayed" not in first.headers
    assert read_answer(second) == read_answer(first)
    assert second.headers["idempotency-replayed"] == "true"


def assert_problem(answer: Any, status: int, code: str) -> None:
    """Hold an answer to the problem that it should be."""
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def keys(database: psycopg.Connection[Any]) -> int:
    """Count the keys that are kept or held."""
    return count(database, "idempotency_keys")
