"""Uploads by the client that do more than store one file, on a whole Jobyard; both editions."""

import io
from pathlib import Path
from typing import Any

import pytest

import jobyard
from jobyard import InvalidInput
from tests.integration.client.http_proxy import HttpProxy

MEGABYTE = 1024 * 1024

Way = dict[str, bool]
EITHER_WAY = pytest.mark.parametrize("way", [{}, {"resumable": True}], ids=["whole", "in pieces"])

pytestmark = pytest.mark.usefixtures("short_pauses")


@EITHER_WAY
def test_a_file_is_stored_together_with_its_job(client: Any, photograph: Path, way: Way) -> None:
    seen: list[jobyard.Progress] = []
    both = client.files.upload_with_job(
        photograph, "file.inspect", description="A cat", expires_in=3600, on_progress=seen.append, **way
    )
    assert (both.file.name, both.file.description) == (photograph.name, "A cat")
    assert both.job.input["file_id"] == both.file.id
    assert client.jobs.wait(both.job, 30, check=True).result["size"] == both.file.size == seen[-1].completed
    assert client.files.get(both.file) == both.file


@EITHER_WAY
def test_a_file_whose_job_is_refused_is_not_stored(client: Any, way: Way) -> None:
    for kind in ("no.such", "test.echo"):
        with pytest.raises(InvalidInput):
            client.files.upload_with_job(b"content", kind, name="a.txt", **way)
    assert list(client.files.list()) == []
    assert list(client.jobs.list()) == []


@EITHER_WAY
def test_with_a_key_a_second_run_gives_the_same_file_and_job(client: Any, way: Way) -> None:
    given = {"name": "a.txt", **way, "idempotency_key": "once"}
    first, second = (client.files.upload_with_job(b"content", "file.inspect", **given) for _ in range(2))
    assert (second.file, second.job.id) == (first.file, first.job.id)
    assert client.files.upload(b"more", name="b.txt", **way, idempotency_key="b") == client.files.upload(
        b"more", name="b.txt", **way, idempotency_key="b"
    )
    assert [job.id for job in client.jobs.list()] == [first.job.id]
    assert [file.name for file in client.files.list()] == ["b.txt", "a.txt"]


def test_several_files_are_stored_at_once_each_for_itself(client: Any, photograph: Path) -> None:
    seen: list[jobyard.Progress] = []
    contents = {'a "b" ä.txt': io.BytesIO(b"first"), "empty.txt": b"", photograph.name: photograph}
    batch = client.files.upload_many(contents, expires_in=3600, on_progress=seen.append)
    stored, empty, picture = batch.items
    assert ([item.index for item in batch.items], batch.failed) == ([0, 1, 2], 1)
    assert (stored.file.name, stored.file.size, stored.error) == ('a "b" ä.txt', 5, None)
    assert (empty.file, empty.error["code"]) == (None, "empty_file")
    assert (picture.file.media_type, picture.file.size) == ("image/jpeg", photograph.stat().st_size)
    done = [each.completed for each in seen]
    assert done == sorted(done)
    assert done[-1] == seen[-1].total == photograph.stat().st_size + 5
    assert [item.file.name for item in client.files.upload_many([photograph, b"bytes"]).items] == [
        photograph.name,
        "file",
    ]
    with pytest.raises(InvalidInput) as caught:
        client.files.upload_many([b"", b""])
    assert caught.value.status == 422
    with pytest.raises(FileNotFoundError):
        client.files.upload_many(["not-there.txt"])


def test_several_files_that_are_cut_or_not_answered_are_stored_once(behind: Any, proxy: HttpProxy, client: Any) -> None:
    behind.me()
    cut = proxy.on("POST /v1/files/batch", "cut_request", after=MEGABYTE)
    lost = proxy.on("POST /v1/files/batch", "lose")
    batch = behind.files.upload_many({"a.txt": b"a" * MEGABYTE, "b.txt": b"b" * MEGABYTE})
    assert (cut.hits, lost.hits, batch.failed) == (1, 1, 0)
    assert {file.id for file in client.files.list()} == {item.file.id for item in batch.items}


def test_a_file_and_its_job_that_were_not_answered_are_made_once(behind: Any, proxy: HttpProxy, client: Any) -> None:
    behind.me()
    lost = [proxy.on(f"POST /v1/{path}", "lose") for path in ("files?process", "uploads", "jobs")]
    made = [behind.files.upload_with_job(b"content", "file.inspect", resumable=each) for each in (False, True)]
    assert [rule.hits for rule in lost] == [1, 1, 1]
    assert {file.id for file in client.files.list()} == {both.file.id for both in made}
    assert {job.id for job in client.jobs.list()} == {both.job.id for both in made}
