"""Batches: each file for itself, one transaction, nothing half done."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part, refusing
from tests.lock_waits import WAITING


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_upload_bytes": 300_000})


GOOD = part("files", PNG, "a.png")
EMPTY = part("files", b"", "b.png")
WRONG = part("files", b"\x7fELF" + bytes(9000), "c.png")
LARGE = part("files", b"w" * 300_001, "d.txt")
TEXT = part("files", b"words", "e.txt")


def test_each_file_is_answered_for_itself(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    body = form(GOOD, EMPTY, WRONG, LARGE, TEXT)

    answer = client.post("/v1/files/batch", content=body, headers=owner.headers | FORM)

    assert answer.status_code == 201
    items = answer.json()["items"]
    assert answer.json()["failed"] == 3
    assert [item["index"] for item in items] == [0, 1, 2, 3, 4]
    assert [item["file"] and item["file"]["name"] for item in items] == ["a.png", None, None, None, "e.txt"]
    assert [item["error"] and (item["error"]["status"], item["error"]["code"]) for item in items] == [
        None,
        (422, "empty_file"),
        (415, "media_type_not_allowed"),
        (413, "file_too_large"),
        None,
    ]
    assert (len(blobs(settings.storage_dir)), count(database, "files")) == (2, 2)
    content = client.get(items[4]["file"]["links"]["content"], headers=owner.headers)
    assert content.content == b"words"


def test_ten_files_are_stored(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    files = [("files", (f"{number}.txt", f"file {number}".encode())) for number in range(10)]

    answer = client.post("/v1/files/batch", files=files, headers=owner.headers)

    assert answer.status_code == 201
    assert [item["file"]["name"] for item in answer.json()["items"]] == [f"{number}.txt" for number in range(10)]
    assert [item["file"]["size"] for item in answer.json()["items"]] == [6] * 10
    assert count(database, "files") == 10


class TestNothingIsStored:
    @pytest.fixture(autouse=True)
    def nothing_is_left(self, settings: Settings, database: psycopg.Connection) -> Iterator[None]:
        yield
        assert blobs(settings.storage_dir) == []
        assert count(database, "files") == 0

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (form(EMPTY, WRONG, LARGE), 422, "nothing_stored"),
            (form(), 422, "missing_part"),
            (form(*[GOOD] * 11), 422, "too_many_parts"),
            (form(GOOD, part("description", b"x")), 422, "unknown_part"),
            (GOOD + LARGE, 400, "invalid_multipart"),
            (form(*[LARGE] * 9, part("files", b"w" * 2_000_000, "f.txt")), 413, "file_too_large"),
        ],
        ids=["none good", "none sent", "eleven", "unknown part", "cut short", "over the cap of a batch"],
    )
    def test_of_a_batch_that_fails(self, client: TestClient, owner: Owner, body: bytes, status: int, code: str) -> None:
        answer = client.post("/v1/files/batch", content=body, headers=owner.headers | FORM)

        assert (answer.status_code, answer.json()["code"]) == (status, code)

    def test_of_a_raw_body(self, client: TestClient, owner: Owner) -> None:
        assert client.post("/v1/files/batch", content=PNG, headers=owner.headers).status_code == 415

    def test_when_the_database_refuses_a_row(
        self, client: TestClient, owner: Owner, database: psycopg.Connection
    ) -> None:
        with refusing(database, "files", "media_type", "text/plain"):
            answer = client.post("/v1/files/batch", content=form(GOOD, TEXT), headers=owner.headers | FORM)

        assert answer.status_code == 500


def test_a_blob_that_cannot_be_discarded_stops_no_other(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    with refusing(database, "files", "media_type", "text/plain"), ThreadPoolExecutor(1) as threads:
        with psycopg.connect(settings.database_url) as holder:
            holder.execute("LOCK TABLE files IN SHARE MODE")
            body = form(GOOD, TEXT)
            sent = threads.submit(client.post, "/v1/files/batch", content=body, headers=owner.headers | FORM)
            # Who waits may be somebody else; the blob is stored before its row is. What is incoming moves away.
            stored = settings.storage_dir / "uploads"
            first = None
            while first is None or database.execute(WAITING).fetchone() != (1,):
                first = next((path for path in blobs(stored) if path.read_bytes() == PNG), None)
            # Where a blob was, a folder is: that cannot be deleted as a file.
            first.unlink()
            first.mkdir()
        answer = sent.result()

    assert answer.status_code == 500
    assert (blobs(settings.storage_dir), count(database, "files"), count(database, "uploads")) == ([], 0, 0)
