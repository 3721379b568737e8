"""What files a kind takes: told when a job is enqueued, and while a file is uploaded for one."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, blobs, count

LARGER = PNG + bytes(101 - len(PNG))
TEXT = b"no picture"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_archive_bytes": 2 * len(PNG), "max_image_bytes": len(PNG)})


def store(client: TestClient, owner: Owner, content: bytes) -> str:
    answer = client.post("/v1/files", content=content, headers=owner.headers)
    assert answer.status_code == 201
    return answer.json()["id"]


def enqueue(client: TestClient, owner: Owner, kind: str, job_input: dict[str, Any]) -> tuple[int, str, list[str]]:
    """Enqueue a job; gives status, code and pointers."""
    answer = client.post("/v1/jobs", json={"kind": kind, "input": job_input}, headers=owner.headers)
    problem = answer.json()
    return answer.status_code, problem.get("code", ""), [each["pointer"] for each in problem.get("errors", [])]


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (PNG, (202, "", [])),
        (PNG + bytes(100 - len(PNG)), (202, "", [])),
        (LARGER, (413, "file_too_large", ["/input/file_id"])),
        (TEXT, (415, "media_type_not_allowed", ["/input/file_id"])),
    ],
)
def test_a_job_takes_files_of_its_kind(
    client: TestClient, owner: Owner, database: psycopg.Connection, content: bytes, outcome: tuple[int, str, list[str]]
) -> None:
    file_id = store(client, owner, content)

    assert enqueue(client, owner, "test.small_picture", {"file_id": file_id}) == outcome
    assert count(database, "jobs") == count(database, "job_files") == (outcome[0] == 202)


def test_files_are_limited_together_and_pointed_to_each(client: TestClient, owner: Owner) -> None:
    first, second, third = (store(client, owner, PNG) for _ in range(3))
    text = store(client, owner, TEXT)

    assert enqueue(client, owner, "test.album", {"pages": [[first], [second]]})[0] == 202
    refused = enqueue(client, owner, "test.album", {"pages": [[first], [second, third]]})
    assert refused == (413, "file_too_large", ["/input"])
    refused = enqueue(client, owner, "test.album", {"pages": [[first], [second, text]]})
    assert refused == (415, "media_type_not_allowed", ["/input/pages/1/1"])


def test_an_archive_is_limited_by_the_setting(client: TestClient, owner: Owner) -> None:
    files = [store(client, owner, PNG) for _ in range(3)]

    assert enqueue(client, owner, "archive.create", {"file_ids": files[:2]})[0] == 202
    assert enqueue(client, owner, "archive.create", {"file_ids": files})[:2] == (413, "file_too_large")


@pytest.mark.parametrize(("content", "status"), [(LARGER, 413), (TEXT, 415)])
@pytest.mark.parametrize("as_form", [False, True])
def test_an_upload_for_a_kind_is_refused_as_a_job_would_be(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection, content: bytes, status: int,
    *, as_form: bool,
) -> None:  # fmt: skip
    body: dict[str, Any] = {"files": {"file": ("a.png", content)}} if as_form else {"content": content}

    answer = client.post("/v1/files?process=test.small_picture", headers=owner.headers, **body)

    assert answer.status_code == status
    assert (count(database, "jobs"), count(database, "files"), count(database, "uploads")) == (0, 0, 0)
    assert blobs(settings.storage_dir) == []


@pytest.mark.parametrize(("content", "code"), [(LARGER, "file_too_large"), (TEXT, "media_type_not_allowed")])
def test_pictures_are_limited_by_the_setting(client: TestClient, owner: Owner, content: bytes, code: str) -> None:
    order = {"file_id": store(client, owner, content), "renditions": [{"width": 1}]}

    stored = client.post("/v1/images", json=order, headers=owner.headers).json()
    sent = client.post(
        "/v1/images", files={"file": ("a.png", content)}, data={"width": "1"}, headers=owner.headers
    ).json()  # fmt: skip

    assert (stored["code"], stored["errors"][0]["pointer"]) == (code, "/file_id")
    assert (sent["code"], sent.get("errors")) == (code, None)


def test_a_retry_is_refused_as_a_new_job_would_be_and_points_to_nothing(
    client: TestClient, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    # As it was enqueued before the kind became so strict.
    old = factories.new_job(kinds["test.small_picture"], owner.id, {"file_id": store(client, owner, TEXT)})
    job_id = factories.enqueue(database, old)
    assert client.post(f"/v1/jobs/{job_id}/cancel", headers=owner.headers).status_code == 200

    answer = client.post(f"/v1/jobs/{job_id}/retry", headers=owner.headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "media_type_not_allowed")
    assert "errors" not in answer.json()


def test_a_follow_up_that_cannot_have_its_file_fails_the_job_and_leaves_nothing(
    settings: Settings, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    job_id = factories.enqueue(database, factories.new_job(kinds["test.pass_on"], owner.id, {"text": "words"}))
    with factories.open_runner(settings, kinds) as runner:
        assert factories.run_job(runner, database, kinds["test.pass_on"], job_id) == "failed"

    assert error_code(database, job_id) == "media_type_not_allowed"
    assert (count(database, "jobs"), count(database, "files")) == (1, 0)
    assert blobs(settings.storage_dir) == []


def error_code(database: psycopg.Connection, job_id: UUID) -> str:
    row = database.execute("SELECT error ->> 'code' FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return row[0]
