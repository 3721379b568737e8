"""Resumable uploads, rule by rule, as a careful client sees them."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import psycopg
import pytest
from fastapi.testclient import TestClient

from api import tus_body
from api.app import create_app
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, blobs, count
from tests.integration.uploads.tus import (
    BODY_TYPE,
    VERSION,
    begin,
    begun,
    checksum,
    end,
    head,
    metadata,
    offset_of,
    patch,
    words,
)

CONTENT = words(100_000)


def test_a_file_in_pieces(client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection) -> None:
    told = metadata(filename="über.txt", filetype="image/png", description="Many words")
    path = begun(client, owner, len(CONTENT), Upload_Metadata=told)
    upload_id = path.removeprefix("/v1/uploads/")
    state = head(client, owner, path)
    assert state.headers["upload-offset"] == "0"
    assert state.headers["upload-length"] == str(len(CONTENT))
    assert state.headers["upload-metadata"] == told
    assert state.headers["cache-control"] == "no-store"

    for start, stop in ((0, 10), (10, 50_000), (50_000, 50_000), (50_000, 99_999)):
        answer = patch(client, owner, path, start, CONTENT[start:stop])
        assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(stop))
        assert "jobyard-file" not in answer.headers
        assert offset_of(client, owner, path) == stop
    last = patch(client, owner, path, 99_999, CONTENT[-1:])

    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(CONTENT)))
    assert last.headers["jobyard-file"] == f"/v1/files/{upload_id}"
    file = client.get(last.headers["jobyard-file"], headers=owner.headers).json()
    assert (file["id"], file["name"], file["description"]) == (upload_id, "über.txt", "Many words")
    assert (file["media_type"], file["size"]) == ("text/plain", len(CONTENT))
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert client.get(file["links"]["content"], headers=owner.headers).content == CONTENT
    assert len(blobs(settings.storage_dir)) == 1
    assert (count(database, "uploads"), count(database, "upload_parts")) == (0, 0)
