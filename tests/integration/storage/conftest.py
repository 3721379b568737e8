"""Every storage: a local directory, and a bucket of a real HTTP endpoint that speaks S3."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.local_storage import LocalStorage
from shared.object_storage import ObjectStorage
from shared.storage import Storage
from tests.s3_server import S3Server


@dataclass(frozen=True)
class Stored:
    """Is a storage under test, and what it can be asked behind its back."""

    storage: Storage
    unfinished: Callable[[], int]


@pytest.fixture(params=["local", "s3"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Stored:
    if request.param == "local":
        incoming = tmp_path / "incoming"
        return Stored(LocalStorage(tmp_path), lambda: len(list(incoming.iterdir())) if incoming.exists() else 0)
    server: S3Server = request.getfixturevalue("s3_server")
    url = server.make_bucket()
    return Stored(ObjectStorage(server.settings(url)), lambda: server.count_unfinished(url))


@pytest.fixture
def storage(stored: Stored) -> Storage:
    return stored.storage
