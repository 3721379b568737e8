"""Events of files, accounts and jobs: recorded where they happen, in the shape of GET, for whom they are wanted by."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from fastapi.testclient import TestClient

from shared.events import EVENT_TYPES
from shared.ids import moment_of
from shared.models import SYSTEM_OWNER_ID
from tests.conftest import Owner
from tests.integration.events.conftest import Ear


def upload(client: TestClient, owner: Owner, name: str = "note.txt") -> dict[str, Any]:
    headers = owner.headers | {"Content-Disposition": f"attachment; filename={name}"}
    answer = client.post("/v1/files", content=b"hello", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_file_tells_of_its_birth_and_its_end_as_get_shows_it(client: TestClient, owner: Owner, ear: Ear) -> None:
    ear.listen("file.*")

    file = upload(client, owner)
    assert client.delete(file["links"]["self"], headers=owner.headers).status_code == 204

    created, deleted = ear.heard()
    assert (created.type, deleted.type) == ("file.created", "file.deleted")
    assert created.data == deleted.data == file
    first, last = ear.rows()
    assert (first.owner_id, str(first.subject_id)) == (owner.id, file["id"])
    assert first.subject_id == last.subject_id
    assert first.version < last.version
    assert "storage_key" not in first.body


def test_a_job_tells_of_itself_as_get_shows_it(client: TestClient, owner: Owner, ear: Ear) -> None:
    ear.listen("job.*")

    due = datetime.now(UTC) + timedelta(days=1)
    body = {"kind": "test.echo", "input": {}, "run_at": due.isoformat(), "tags": ["a"]}
    job = client.post("/v1/jobs", json=body, headers=owner.headers).json()
    cancelled = client.post(job["links"]["cancel"], headers=owner.headers).json()

    assert [(event.type, event.data) for event in ear.heard()] == [("job.scheduled", job), ("job.cancelled", cancelled)]
    assert [row.version for row in ear.rows()] == [job["version"], cancelled["version"]]


def test_an_upload_in_progress_is_no_file(client: TestClient, owner: Owner, ear: Ear) -> None:
    ear.listen("file.*")
    headers = owner.headers | {"Tus-Resumable": "1.0.0"}

    made = client.post("/v1/uploads", headers=headers | {"Upload-Length": "2"})
    assert ear.names() == []
    sent = client.patch(
        made.headers["location"],
        content=b"ok",
        headers=headers | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
    )

    assert sent.status_code == 204, sent.text
    assert ear.names() == ["file.created"]


def test_a_registration_tells_of_the_account_as_its_user_sees_it(client: TestClient, ear: Ear) -> None:
    ear.listen("user.*")

    registration = {"email": "ada@example.com", "password": "correct horse", "name": "Ada"}
    account = client.post("/v1/auth/register", json=registration)
    again = client.post("/v1/auth/register", json=registration)

    assert (account.status_code, again.status_code) == (201, 409)
    [event] = ear.heard()
    assert (event.type, event.data) == ("user.created", account.json())
    assert "password" not in str(ear.rows())


def test_the_system_owner_is_no_account(database: psycopg.Connection[Any], ear: Ear) -> None:
    ear.listen("user.*")
    with database.transaction(force_rollback=True):
        database.execute("DELETE FROM users")
        database.execute(
            "INSERT INTO users (id, email, password_hash) VALUES (%s, 's@example.com', '!'),"
            " (gen_random_uuid(), 'u@example.com', '!')",
            (SYSTEM_OWNER_ID,),
        )
        assert [event.data["email"] for event in ear.heard()] == ["u@example.com"]


def test_a_user_can_go_with_files_that_somebody_wants_to_hear_of(
    client: TestClient, owner: Owner, stranger: Owner, database: psycopg.Connection[Any], ear: Ear
) -> None:
    upload(client, owner)
    kept = upload(client, stranger)
    ear.listen("*")

    database.execute("DELETE FROM users WHERE id = %s", (owner.id,))

    assert ear.names() == []
    assert client.delete(kept["links"]["self"], headers=stranger.headers).status_code == 204
    assert ear.names() == ["file.deleted"]


def test_only_what_somebody_wants_is_recorded(client: TestClient, owner: Owner, stranger: Owner, ear: Ear) -> None:
    ear.subscribe(owner, "file.created")
    ear.subscribe(owner, "*", disabled=True)
    for each in (owner, stranger):
        client.delete(upload(client, each)["links"]["self"], headers=each.headers)
    assert [(row.name, row.owner_id) for row in ear.rows()] == [("file.created", owner.id)]

    ear.forget()
    ear.subscribe(stranger, "*")
    for each in (owner, stranger):
        client.delete(upload(client, each)["links"]["self"], headers=each.headers)
    assert [(row.name, row.owner_id) for row in ear.rows()] == [
        ("file.created", owner.id), ("file.created", stranger.id), ("file.deleted", stranger.id),
    ]  # fmt: skip


def test_an_event_is_the_same_however_often_it_is_made(client: TestClient, owner: Owner, ear: Ear) -> None:
    ear.listen("file.created")
    upload(client, owner)
    upload(client, owner)

    assert ear.heard() == ear.heard()
    first, second = ear.heard()
    assert first.id != second.id
    assert abs((moment_of(first.id) - first.timestamp).total_seconds()) < 0.01
    assert datetime.fromisoformat(first.model_dump(mode="json")["timestamp"]) == first.timestamp


def test_the_triggers_know_the_names_of_the_registry(database: psycopg.Connection[Any]) -> None:
    [(functions,)] = database.execute(
        "SELECT string_agg(prosrc, ' ') FROM pg_proc WHERE strpos(prosrc, 'INSERT INTO events') > 0"
    ).fetchall()
    [(triggers,)] = database.execute("SELECT string_agg(pg_get_triggerdef(oid), ' ') FROM pg_trigger").fetchall()
    for name in EVENT_TYPES:
        stem = name.rpartition(".")[0]
        written = f"'{stem}.' ||" if stem in {"job", "email.recipient"} else f"'{name}'"
        assert written in f"{functions} {triggers}", name
