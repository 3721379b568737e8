"""A kind from a user's package, exactly as docs/adding-a-job-kind.md shows it."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from shared.job_kind import JobKind, load_job_kinds
from shared.local_storage import LocalStorage
from shared.settings import Settings
from shared.storage import BlobReader
from tests import factories
from tests.conftest import Owner
from tests.integration.kinds.conftest import Yard
from worker.celery_app import create_celery_app

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-job-kind.md"


def example(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    source = example("python")
    path = tmp_path / source.partition("\n")[0].removeprefix("# ")
    path.parent.mkdir()
    path.write_text(source)
    (path.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    name, _, value = example("sh").strip().partition("=")
    monkeypatch.setenv(name, value)
    yield settings.model_copy(update={"job_modules": Settings.model_validate({}).job_modules})
    for module in [module for module in sys.modules if module.partition(".")[0] == path.parent.name]:
        del sys.modules[module]


def submit(client: TestClient, owner: Owner, file_id: UUID, **changes: object) -> tuple[int, dict[str, object]]:
    body = json.loads(example("json")) | changes
    if "input" not in changes:
        body["input"]["file_id"] = str(file_id)
    answer = client.post("/v1/jobs", json=body, headers=owner.headers)
    return answer.status_code, answer.json()


def run(yard: Yard, job_id: object) -> str:
    return factories.run_job(yard.runner, yard.database, yard.kinds["text.count"], UUID(str(job_id)))


def test_it_is_asked_for_run_and_read(yard: Yard, settings: Settings) -> None:
    file_id = yard.store("song.txt", b"row row row your boat\ngently down the stream\n")
    with TestClient(create_app(settings)) as client:
        status, job = submit(client, yard.owner, file_id)
        assert (status, job["kind"], job["state"]) == (202, "text.count", "queued")
        assert run(yard, job["id"]) == "succeeded"
        done = client.get(f"/v1/jobs/{job['id']}", headers=yard.owner.headers).json()
        assert done["result"]["words"] == 9
        assert done["progress"]["percent"] == 100.0
        content = client.get(f"/v1/files/{done['result']['list_id']}/content", headers=yard.owner.headers)
        assert content.text.splitlines() == ["boat", "down", "gently", "row", "stream", "the", "your"]


def test_it_reads_lines_in_blocks(yard: Yard, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[BlobReader] = []
    read: list[int] = []
    real = LocalStorage.open

    def open_and_count(storage: LocalStorage, key: str, start: int = 0, end: int | None = None) -> BlobReader:
        reader = real(storage, key, start, end)
        fill = reader.readinto

        def fill_and_count(buffer: memoryview) -> int:
            # Each call is one of the operating system's.
            read.append(fill(buffer) or 0)
            return read[-1]

        monkeypatch.setattr(reader, "readinto", fill_and_count)
        opened.append(reader)
        return reader

    monkeypatch.setattr(LocalStorage, "open", open_and_count)
    lines = b"row row row your boat\n" * 20_000
    file_id = yard.store("song.txt", lines)
    with TestClient(create_app(settings)) as client:
        _, job = submit(client, yard.owner, file_id)
        assert run(yard, job["id"]) == "succeeded"

    assert len(opened) == 1
    assert sum(read) == len(lines)
    assert len(read) < 10


def test_its_own_refusals(yard: Yard, settings: Settings) -> None:
    picture = yard.store("photo.jpg", b"\xff\xd8\xff", "image/jpeg")
    with TestClient(create_app(settings)) as client:
        assert submit(client, yard.owner, uuid4())[0] == 404
        assert submit(client, yard.owner, picture, input={"file": "x"})[0] == 422
        _, job = submit(client, yard.owner, picture)
        assert run(yard, job["id"]) == "failed"
    assert yard.read("jobs", str(job["id"]))["error"]["code"] == "not_a_text"


def test_it_is_a_first_class_kind(settings: Settings, database: psycopg.Connection) -> None:
    del database
    celery = create_celery_app(settings)
    try:
        assert "text.count" in celery.tasks
        assert celery.conf.task_routes["text.count"] == {"queue": "default"}
    finally:
        celery.close()
    schema = create_app(settings).openapi()
    assert "TextCountJob" in schema["components"]["schemas"]


def test_it_is_unknown_unless_it_is_named(kinds: dict[str, JobKind]) -> None:
    assert "text.count" in kinds
    assert "text.count" not in load_job_kinds(["worker.jobs"])
