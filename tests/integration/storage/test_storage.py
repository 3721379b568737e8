"""What every storage promises, asked of each."""

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from shared.errors import StorageUnavailable
from shared.ids import new_id
from shared.local_storage import LocalStorage
from shared.object_storage import PART_BYTES, ObjectStorage
from shared.settings import Settings
from shared.storage import Storage, open_storage, output_key, part_key, upload_key
from tests.integration.storage.conftest import Stored
from tests.s3_server import S3Server

SIZES = [0, 1, 100_000, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5]
KEY = "uploads/ab/0198f2a5"


def content_of(size: int) -> bytes:
    return os.urandom(4096) * (size // 4096 + 1) if size > 4096 else os.urandom(size)


def put(storage: Storage, key: str, content: bytes) -> None:
    with storage.writer(key) as writer:
        writer.write(content)
        writer.commit()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_in_pieces_is_read_back(stored: Stored, size: int) -> None:
    content = content_of(size)[:size]
    with stored.storage.writer(KEY) as writer:
        for at in range(0, size, 1_000_003):
            writer.write(content[at : at + 1_000_003])
        assert not stored.storage.holds(KEY)
        writer.commit()
    assert (writer.size, writer.sha256) == (size, hashlib.sha256(content).hexdigest())
    with stored.storage.open(KEY) as reader:
        assert reader.total == size
        assert reader.read() == content
        assert reader.read(1) == b""
    with stored.storage.local_path(KEY) as path:
        assert path.read_bytes() == content
    assert stored.unfinished() == 0


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, None), (7, 100), (99_999, None), (99_999, 100_000), (50, 99_999_999)]
)
def test_a_range_is_read(storage: Storage, start: int, end: int | None) -> None:
    content = content_of(100_000)[:100_000]
    put(storage, KEY, content)
    with storage.open(KEY, start, end) as reader:
        assert reader.total == len(content)
        assert reader.read() == content[start:end]


def test_reading_takes_no_more_than_asked_for(storage: Storage) -> None:
    put(storage, KEY, b"0123456789")
    with storage.open(KEY, 2, 8) as reader:
        assert [reader.read(4), reader.read(4), reader.read(4)] == [b"2345", b"67", b""]


@pytest.mark.parametrize("size", [0, 10, PART_BYTES, 4 * PART_BYTES])
def test_what_is_not_committed_is_dropped(stored: Stored, size: int) -> None:
    with stored.storage.writer(KEY) as writer:
        writer.write(bytes(size))
    assert not stored.storage.holds(KEY)
    assert (list(stored.storage.blobs()), stored.unfinished()) == ([], 0)
    writer.abort()
    with pytest.raises(ValueError, match="settled"):
        writer.write(b"more")
    with pytest.raises(ValueError, match="settled"):
        writer.commit()


def test_an_error_while_writing_drops_it(stored: Stored) -> None:
    def fail() -> None:
        with stored.storage.writer(KEY) as writer:
            writer.write(bytes(2 * PART_BYTES))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (list(stored.storage.blobs()), stored.unfinished()) == ([], 0)


def test_a_blob_is_replaced_whole(storage: Storage) -> None:
    put(storage, KEY, b"before")
    with storage.open(KEY) as before, storage.writer(KEY) as writer:
        writer.write(b"after!!")
        with storage.open(KEY) as meanwhile:
            assert meanwhile.read() == b"before"
        writer.commit()
        assert before.read() == b"before"
    with storage.open(KEY) as after:
        assert after.read() == b"after!!"


def test_a_writer_need_not_hash(storage: Storage) -> None:
    with storage.writer(KEY, hashed=False) as writer:
        writer.write(b"abc")
        writer.commit()
        with pytest.raises(ValueError, match="hashed"):
            _ = writer.sha256


def test_what_is_not_there(storage: Storage) -> None:
    assert not storage.holds(KEY)
    with pytest.raises(FileNotFoundError):
        storage.open(KEY)
    with pytest.raises(FileNotFoundError), storage.local_path(KEY):
        pass
    storage.delete(KEY)
    storage.delete()


def test_blobs_are_walked_over_and_deleted(storage: Storage) -> None:
    keys = [upload_key(new_id()), output_key(new_id(), 3, new_id()), part_key(new_id(), new_id())]
    for size, key in enumerate(keys):
        put(storage, key, bytes(size))
    found = {blob.key: blob for blob in storage.blobs()}
    assert {key: blob.size for key, blob in found.items()} == {key: size for size, key in enumerate(keys)}
    assert all(abs(blob.modified - time.time()) < 60 for blob in found.values())
    storage.delete(keys[0], KEY, keys[2])
    assert [blob.key for blob in storage.blobs()] == [keys[1]]
    assert [storage.holds(key) for key in keys] == [False, True, False]


@pytest.mark.parametrize("key", ["", "a", "/etc/passwd", "../up", "a/../b", "a//b", "A/b", "a/b/", "a/b#1", "a/\x00b"])
def test_only_our_own_keys_are_taken(storage: Storage, key: str) -> None:
    for attempt in (storage.writer, storage.open, storage.holds, storage.delete):
        with pytest.raises(ValueError, match="not a storage key"):
            attempt(key)
    with pytest.raises(ValueError, match="not a storage key"), storage.local_path(key):
        pass


def test_rivals_write_one_blob_whole(storage: Storage) -> None:
    contents = [bytes([number]) * 200_000 for number in range(8)]
    threads = [threading.Thread(target=put, args=(storage, KEY, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with storage.open(KEY) as reader:
        assert reader.read() in contents


def test_writing_and_deleting_in_one_folder_do_not_meet(storage: Storage) -> None:
    upload_id = new_id()
    first, second = part_key(upload_id, new_id()), part_key(upload_id, new_id())

    def write_and_delete(key: str) -> None:
        for _ in range(30):
            put(storage, key, b"x")
            assert storage.holds(key)
            storage.delete(key)

    threads = [threading.Thread(target=write_and_delete, args=(key,)) for key in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(storage.blobs()) == []


def test_it_can_be_checked(storage: Storage) -> None:
    storage.check()


def test_the_settings_choose(tmp_path: Path, s3_server: S3Server) -> None:
    assert isinstance(open_storage(Settings.model_validate({"storage_dir": tmp_path})), LocalStorage)
    bucket = open_storage(s3_server.settings(s3_server.make_bucket()))
    assert isinstance(bucket, ObjectStorage)
    bucket.check()


def test_a_bucket_that_is_away_is_unavailable(tmp_path: Path, s3_server: S3Server) -> None:
    settings = s3_server.settings("s3://bucket/prefix")
    away = ObjectStorage(settings.model_copy(update={"bucket_endpoint": "http://127.0.0.1:9"}))
    with pytest.raises(StorageUnavailable):
        away.check()
    with pytest.raises(StorageUnavailable):
        away.open(KEY)
    with pytest.raises(StorageUnavailable):
        list(away.blobs())
    with pytest.raises(StorageUnavailable):
        put(away, KEY, bytes(5 * PART_BYTES))
    in_the_way = tmp_path / "uploads"
    in_the_way.write_text("no folder")
    with pytest.raises(StorageUnavailable):
        put(LocalStorage(tmp_path), KEY, b"x")
