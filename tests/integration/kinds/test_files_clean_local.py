"""Cleaning a local directory: blobs have ages and are seen while they are written, and people put files there."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from uuid import uuid4

from shared.local_storage import LocalStorage
from shared.storage import upload_key
from tests.api_server import running_server
from tests.integration.kinds.cleaning import NOTHING, clean, count
from tests.integration.kinds.conftest import Yard

_FIRST = 300_000
"""The first bytes of an upload: more than are held back before its row is written."""


def make_old(yard: Yard, path: Path, seconds: int = 60) -> None:
    old = time.time() - yard.settings.orphan_grace_minutes * 60 - seconds
    os.utime(path, (old, old))


def test_only_blobs_of_ours_that_are_older_than_the_grace_go(yard: Yard) -> None:
    storage = LocalStorage(yard.settings.storage_dir)
    old, young = (yard.write(upload_key(uuid4())) for _ in range(2))
    half_written, probe = yard.write(f"incoming/{uuid4()}"), yard.write("health/probe")
    foreign = yard.settings.storage_dir / "uploads" / "READ ME.txt"
    foreign.write_text("put here by a person")
    for path in (foreign, *map(storage.path, (old, half_written, probe))):
        make_old(yard, path)
    make_old(yard, storage.path(young), seconds=-60)
    assert clean(yard) == NOTHING | {"orphaned": 2, "bytes_freed": 12}
    assert yard.blobs() == {young, probe}
    assert foreign.exists()


def test_an_upload_that_was_given_up_too_early_says_so_and_leaves_nothing(yard: Yard) -> None:
    gate = Event()

    def content() -> Iterator[bytes]:
        yield b"a" * _FIRST
        assert gate.wait(60)
        yield b"b"

    with running_server(yard.settings) as server, server.client() as client, ThreadPoolExecutor(1) as threads:
        sent = threads.submit(client.post, "/v1/files", content=content(), headers=yard.owner.headers)
        while count(yard, "uploads") == 0:
            pass
        yard.database.execute("UPDATE uploads SET expires_at = now()")
        assert clean(yard)["abandoned"] == 1
        gate.set()
        answer = sent.result()
    assert (answer.status_code, answer.json()["code"]) == (410, "upload_expired")
    assert count(yard) == len(yard.blobs()) == 0
