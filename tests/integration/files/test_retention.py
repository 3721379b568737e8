"""How long files are kept: as the settings say, as their owner says within bounds, in the database's time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, count, pointers

DAY = 86_400
LONGEST = 20 * DAY
File = dict[str, Any]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    changes = {"upload_retention_days": 10, "output_retention_days": 5, "longest_retention_days": LONGEST // DAY}
    return settings.model_copy(update=changes)


@pytest.fixture
def stored(client: TestClient, owner: Owner) -> File:
    return client.post("/v1/files", content=PNG, headers=owner.headers).json()


def kept_seconds(file: File, since: str = "created_at") -> float:
    return (datetime.fromisoformat(file["expires_at"]) - datetime.fromisoformat(file[since])).total_seconds()


def upload_one(client: TestClient, owner: Owner, query: str) -> Any:
    return client.post(f"/v1/files{query}", content=PNG, headers=owner.headers)


def upload_batch(client: TestClient, owner: Owner, query: str) -> Any:
    return client.post(f"/v1/files/batch{query}", files=[("files", ("a.png", PNG))], headers=owner.headers)


def upload_image(client: TestClient, owner: Owner, query: str) -> Any:
    body: dict[str, Any] = {"files": {"file": ("a.png", PNG)}, "data": {"width": "1"}}
    return client.post(f"/v1/images{query}", headers=owner.headers, **body)


UPLOADS = [upload_one, upload_batch, upload_image]


@pytest.mark.parametrize("upload", UPLOADS)
@pytest.mark.parametrize(
    ("query", "seconds"), [("", 10 * DAY), ("?expires_in=60", 60), (f"?expires_in={LONGEST}", LONGEST)]
)
def test_an_upload_is_kept_as_long_as_is_said(
    client: TestClient, owner: Owner, upload: Any, query: str, seconds: int
) -> None:
    assert upload(client, owner, query).is_success
    [file] = client.get("/v1/files", headers=owner.headers).json()["items"]
    assert kept_seconds(file) == seconds


@pytest.mark.parametrize("upload", UPLOADS)
@pytest.mark.parametrize("seconds", ["0", "59", str(LONGEST + 1), str(2**70), "-1", "soon"])
def test_other_times_are_refused(
    client: TestClient, owner: Owner, database: psycopg.Connection, upload: Any, seconds: str
) -> None:
    answer = upload(client, owner, f"?expires_in={seconds}")

    assert (answer.status_code, pointers(answer)) == (422, ["query/expires_in"])
    assert count(database, "files") == count(database, "uploads") == 0


def test_an_output_is_kept_as_its_setting_says_or_as_its_owner_says_later(
    client: TestClient, settings: Settings, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    kind = kinds["test.echo"]
    job_id = factories.enqueue(database, factories.new_job(kind, owner.id, {"text": "hello", "ending": "output"}))
    with factories.open_runner(settings, kinds) as runner:
        assert factories.run_job(runner, database, kind, job_id) == "succeeded"
    [output] = client.get("/v1/files", headers=owner.headers).json()["items"]
    # The one is the time of the statement, the other that of its transaction.
    assert kept_seconds(output) == pytest.approx(5 * DAY, abs=60)

    changed = change(client, owner, output, {"expires_in": LONGEST})

    assert kept_seconds(changed) == pytest.approx(LONGEST, abs=60)


def change(client: TestClient, owner: Owner, file: File, body: dict[str, Any]) -> File:
    answer = client.patch(file["links"]["self"], json=body, headers=owner.headers)
    assert answer.status_code == 200, answer.text
    assert client.get(file["links"]["self"], headers=owner.headers).json() == answer.json()
    return answer.json()


def test_only_what_is_sent_changes(client: TestClient, owner: Owner, stored: File) -> None:
    assert change(client, owner, stored, {}) == stored
    moment = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    named = change(client, owner, stored, {"name": "../Hafen\u202e.png", "description": " at noon\r\n"})
    assert named == stored | {"name": "Hafen.png", "description": "at noon"}
    moved = change(client, owner, stored, {"expires_at": moment.isoformat()})
    assert datetime.fromisoformat(moved.pop("expires_at")) == moment
    assert moved == {name: value for name, value in named.items() if name != "expires_at"}
    for nothing in (None, "", " \n"):
        change(client, owner, stored, {"description": "something"})
        assert change(client, owner, stored, {"description": nothing})["description"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"expires_in": 59}, "/expires_in"),
        ({"expires_in": LONGEST + 1}, "/expires_in"),
        ({"expires_in": 2**53}, "/expires_in"),
        ({"expires_in": "60"}, "/expires_in"),
        ({"expires_at": "2026-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "9999-12-31T23:59:59Z"}, "/expires_at"),
        ({"expires_at": "2026-12-24T12:00:00"}, "/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00Z", "expires_in": 60}, ""),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"description": "x" * 1001}, "/description"),
        ({"description": "\u0000"}, "/description"),
        ({"media_type": "image/png"}, "/media_type"),
    ],
)
def test_what_is_refused_changes_nothing(
    client: TestClient, owner: Owner, stored: File, body: dict[str, Any], pointer: str
) -> None:
    answer = client.patch(stored["links"]["self"], json=body | {"description": body.get("description", "new")},
                          headers=owner.headers)  # fmt: skip

    assert (answer.status_code, pointers(answer)) == (422, [pointer])
    assert client.get(stored["links"]["self"], headers=owner.headers).json() == stored


def test_a_change_is_as_small_as_any_json(client: TestClient, owner: Owner, stored: File) -> None:
    body = {"description": "x" * 1024 * 1024}
    answer = client.patch(stored["links"]["self"], json=body, headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_nobody_changes_a_stranger_s_file(client: TestClient, stranger: Owner, stored: File) -> None:
    answer = client.patch(stored["links"]["self"], json={"name": "mine"}, headers=stranger.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")


def test_an_expired_file_can_be_kept_until_it_is_cleaned_away(
    client: TestClient, owner: Owner, database: psycopg.Connection, stored: File
) -> None:
    file_id = UUID(stored["id"])
    database.execute("UPDATE files SET expires_at = now() - interval '1 day' WHERE id = %s", (file_id,))
    assert change(client, owner, stored, {"expires_in": 60})["id"] == stored["id"]
    database.execute("DELETE FROM files WHERE id = %s", (file_id,))
    assert client.patch(stored["links"]["self"], json={"expires_in": 60}, headers=owner.headers).status_code == 404
