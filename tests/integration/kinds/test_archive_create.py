"""ZIP archives of stored files."""

import io
import os
import threading
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy.event import listen

from shared.job_kind import JobKind
from tests.conftest import Owner
from tests.integration.kinds.conftest import Row, Yard
from worker.jobs.archive_create import UniqueNames


def pack(yard: Yard, file_ids: list[object], **options: object) -> Row:
    return yard.run("archive.create", {"file_ids": [str(file_id) for file_id in file_ids], **options})


def opened(yard: Yard, row: Row) -> zipfile.ZipFile:
    content = yard.path(row["result"]["file_id"]).read_bytes()
    assert len(content) == row["result"]["size"]
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


def test_contents_names_and_compression(yard: Yard) -> None:
    noise = os.urandom(3_000_000)
    text = b"again and again\n" * 100_000
    row = pack(yard, [
        yard.store("ünï ☃ 日本.jpg", noise, "image/jpeg"),
        yard.store("words.txt", text),
        yard.store("empty", b""),
    ], name="Fotos 2026.zip")  # fmt: skip
    assert row["state"] == "succeeded"
    assert row["result"]["entries"] == 3
    assert (row["progress_completed"], row["progress_total"]) == (len(noise) + len(text),) * 2
    file = yard.read("files", row["result"]["file_id"])
    assert (file["name"], file["media_type"], file["job_id"]) == ("Fotos 2026.zip", "application/zip", row["id"])
    with opened(yard, row) as archive:
        assert archive.read("ünï ☃ 日本.jpg") == noise
        assert archive.read("words.txt") == text
        assert archive.read("empty") == b""
        assert archive.getinfo("ünï ☃ 日本.jpg").compress_type == zipfile.ZIP_STORED
        assert archive.getinfo("words.txt").compress_size < len(text) / 50
        assert archive.infolist()[1].date_time[:3] == file["created_at"].timetuple()[:3]


def test_a_bomb_is_packed_and_inspected_without_being_unpacked(yard: Yard) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abcdefgh":
            archive.writestr(name, bytes(10_000_000))
    bomb = packed.getvalue()
    assert len(bomb) < 100_000
    file_id = yard.store("bomb.zip", bomb, "application/zip")

    tracemalloc.start()
    try:
        row = pack(yard, [file_id])
        inspected = yard.run("file.inspect", {"file_id": str(file_id)})
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()

    with opened(yard, row) as archive:
        assert archive.read("bomb.zip") == bomb
        assert archive.getinfo("bomb.zip").compress_type == zipfile.ZIP_STORED
    assert inspected["result"]["media_type"] == "application/zip"


def test_three_hundred_equal_names(yard: Yard) -> None:
    row = pack(yard, [yard.store("a.jpg", str(number).encode()) for number in range(300)])
    assert yard.read("files", row["result"]["file_id"])["name"] == "archive.zip"
    with opened(yard, row) as archive:
        assert archive.namelist() == ["a.jpg", *(f"a ({number}).jpg" for number in range(2, 301))]
        assert [int(archive.read(name)) for name in archive.namelist()] == list(range(300))


@pytest.mark.parametrize(
    ("names", "entries"),
    [
        (["a.jpg", "A.JPG", "a (2).jpg"], ["a.jpg", "A (2).JPG", "a (2) (2).jpg"]),
        (["e\u0301.txt", "\u00e9.txt"], ["\u00e9.txt", "\u00e9 (2).txt"]),
        (["../../etc/passwd", "..", "\\\\host\\x", "C:\\x"], [".._.._etc_passwd", "file", "__host_x", "C__x"]),
        (["a\0b", "photo\u202egpj.exe", "", "x. "], ["ab", "photogpj.exe", "file", "x"]),
        ([".profile", ".profile"], [".profile", ".profile (2)"]),
        (["ü" * 250 + ".txt"], ["ü" * 100 + ".txt"]),
    ],
)
def test_entries_are_named_safely(names: list[str], entries: list[str]) -> None:
    unique = UniqueNames()
    assert [unique.take(name) for name in names] == entries


def test_zip64_is_written_where_it_is_needed(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit above which zipfile takes ZIP64, lowered: what is written is what more than 2 GiB would get.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)
    content = os.urandom(5000)
    row = pack(yard, [yard.store("a.bin", content), yard.store("b.bin", b"small"), yard.store("c.jpg", content)])
    monkeypatch.undo()
    raw = yard.path(row["result"]["file_id"]).read_bytes()
    assert raw.count(b"PK\x06\x06") == 1
    with opened(yard, row) as archive:
        assert [entry.extract_version for entry in archive.infolist()] == [45, 45, 45]
        assert archive.read("a.bin") == archive.read("c.jpg") == content
        assert archive.read("b.bin") == b"small"


def test_numbering_does_not_slow_down() -> None:
    names = UniqueNames()
    assert len({names.take("same.txt") for _ in range(10_000)}) == 10_000


def test_rows_are_read_in_one_query(yard: Yard) -> None:
    file_ids: list[object] = [yard.store(f"{number}.txt", b"x") for number in range(20)]
    statements: list[str] = []
    listen(yard.runner.begin_child().engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    row = pack(yard, file_ids)
    assert row["result"]["entries"] == 20
    assert len([text for text in statements if "FROM files" in text]) == 1


def test_files_that_are_gone_damaged_or_another_owners(yard: Yard, stranger: Owner) -> None:
    good = yard.store("good.txt", b"good")
    lost, short, long = (
        yard.store("lost", b"lost"),
        yard.store("short", b"1", size=2),
        yard.store("long", b"12", size=1),
    )
    yard.path(lost).unlink()
    theirs = yard.store("theirs", b"theirs", owner=stranger)
    before = yard.blobs()
    for bad, code in [(uuid4(), "file_not_found"), (theirs, "file_not_found"), (lost, "file_not_found"),
                      (short, "file_damaged"), (long, "file_damaged")]:  # fmt: skip
        row = yard.run("archive.create", {"file_ids": [str(good), str(bad)]}, file_ids=[])
        assert (row["state"], row["error"]["code"]) == ("failed", code)
        assert yard.blobs() == before


def feed(path: Path, most: int) -> None:
    """Write zeros into a pipe until its reader goes away."""
    chunk, written = bytes(1024 * 1024), 0
    with path.open("wb", buffering=0) as pipe, suppress(BrokenPipeError):
        while written < most:
            written += pipe.write(chunk)


def test_cancelled_midway_leaves_nothing(yard: Yard) -> None:
    size = 8 * 1024**3
    file_id = yard.store("endless", size=size)
    path = yard.path(file_id)
    path.unlink()
    os.mkfifo(path)
    feeder = threading.Thread(target=feed, args=(path, size))
    feeder.start()
    with yard.on_event(2, yard.cancel):
        row = pack(yard, [file_id])
    feeder.join()
    assert row["state"] == "cancelled"
    assert 0 < row["progress_completed"] < size
    assert yard.blobs() == {yard.read("files", file_id)["storage_key"]}


@pytest.mark.parametrize(
    "name", ["", "a/b.zip", "a\\b.zip", "..", "a\0.zip", "a\n.zip", "x" * 256, " a.zip", "a\u202e.zip", 'a".zip']
)
def test_a_name_that_is_none(kinds: dict[str, JobKind], name: str) -> None:
    with pytest.raises(ValidationError):
        kinds["archive.create"].input_model.model_validate({"file_ids": [str(uuid4())], "name": name})


def test_too_many_too_few_or_equal_files(kinds: dict[str, JobKind]) -> None:
    once = str(uuid4())
    for file_ids in ([], [once, once], [str(uuid4()) for _ in range(10_001)], None):
        with pytest.raises(ValidationError) as caught:
            kinds["archive.create"].input_model.model_validate({"file_ids": file_ids})
        assert caught.value.errors()[0]["loc"] == ("file_ids",)
