"""A large file passes through the client without being in memory."""

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

MEGABYTE = 1024 * 1024
SIZE = 40 * MEGABYTE


@pytest.mark.parametrize("resumable", [True, False])
def test_a_large_file_goes_up_and_down_without_being_in_memory(client: Any, tmp_path: Path, *, resumable: bool) -> None:
    source, target = tmp_path / "large.txt", tmp_path / "back.txt"
    line = b"0123456789abcde\n"
    with source.open("wb") as stream:
        for _ in range(SIZE // MEGABYTE):
            stream.write(line * (MEGABYTE // len(line)))
    client.me()
    tracemalloc.start()
    try:
        file = client.files.upload(source, resumable=resumable)
        client.files.download(file, target)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with target.open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    assert peak < 6 * MEGABYTE
