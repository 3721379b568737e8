"""Resumable uploads into a bucket."""

import hashlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from shared.settings import Settings
from shared.storage import open_storage
from tests.conftest import Owner
from tests.integration.uploads.tus import begun, end, patch, words
from tests.s3_server import S3Server


@pytest.fixture
def settings(settings: Settings, s3_server: S3Server) -> Settings:
    bucket = s3_server.settings(s3_server.make_bucket()).model_dump(exclude_unset=True)
    return settings.model_copy(update=bucket)


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def test_parts_become_one_object(client: TestClient, owner: Owner, settings: Settings, s3_server: S3Server) -> None:
    content = words(9 * 1024 * 1024)
    given_up, path = begun(client, owner, 100), begun(client, owner, len(content))
    assert patch(client, owner, given_up, 0, b"words").status_code == 204
    assert patch(client, owner, path, 0, content[:-5]).status_code == 204
    keys = sorted(blob.key.partition("/")[0] for blob in open_storage(settings).blobs())
    assert keys == ["parts", "parts"]

    last = patch(client, owner, path, len(content) - 5, content[-5:])
    assert end(client, owner, given_up).status_code == 204

    file = client.get(last.headers["jobyard-file"], headers=owner.headers).json()
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert client.get(file["links"]["content"], headers=owner.headers).content == content
    assert [blob.size for blob in open_storage(settings).blobs()] == [len(content)]
    assert s3_server.count_unfinished(settings.storage_url) == 0
