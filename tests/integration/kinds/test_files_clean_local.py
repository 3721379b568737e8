"""Cleaning a local directory: blobs have ages, and people put files there."""

import os
import time
from pathlib import Path
from uuid import uuid4

from shared.local_storage import LocalStorage
from shared.storage import upload_key
from tests.integration.kinds.cleaning import NOTHING, clean
from tests.integration.kinds.conftest import Yard


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
