"""Quotas as operators set them and as owners see them."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.models import SYSTEM_OWNER_ID
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, blobs, count, pointers

NONE_SET = {"max_bytes": None, "max_files": None}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"owner_max_bytes": 3 * len(PNG), "owner_max_files": 5})


def path_of(user_id: UUID) -> str:
    return f"/v1/admin/users/{user_id}/quota"


def put(client: TestClient, operator: Owner, owner: Owner, **body: int | None) -> dict[str, Any]:
    answer = client.put(path_of(owner.id), json=NONE_SET | body, headers=operator.headers)
    assert answer.status_code == 200
    assert client.get(path_of(owner.id), headers=operator.headers).json() == answer.json()
    return answer.json()


def usage(client: TestClient, owner: Owner) -> dict[str, Any]:
    return client.get("/v1/limits", headers=owner.headers).json()["quota"]


def upload(client: TestClient, owner: Owner) -> int:
    answer = client.post("/v1/files", content=PNG, headers=owner.headers)
    assert answer.status_code == 201 or answer.json()["code"] == "quota_exceeded"
    return answer.status_code


def test_an_owner_sees_limits_and_usage(client: TestClient, owner: Owner, settings: Settings) -> None:
    assert upload(client, owner) == 201

    limits = client.get("/v1/limits", headers=owner.headers).json()

    assert limits == {
        "files": {
            "max_upload_bytes": settings.max_upload_bytes,
            "allowed_media_types": settings.allowed_media_types,
            "max_batch_files": 10,
        },
        "quota": {"max_bytes": 3 * len(PNG), "bytes": len(PNG), "max_files": 5, "files": 1},
        "images": {
            "max_bytes": settings.max_image_bytes,
            "max_pixels": settings.max_image_pixels,
            "max_frames": settings.max_image_frames,
            "max_output_pixels": settings.max_image_output_pixels,
        },
        "archives": {"max_bytes": settings.max_archive_bytes},
        "retention": {
            "upload_seconds": settings.upload_retention_days * 86_400,
            "output_seconds": settings.output_retention_days * 86_400,
            "shortest_seconds": 60,
            "longest_seconds": settings.longest_retention_days * 86_400,
        },
    }


def test_what_operators_set_goes_before_the_setting(client: TestClient, owner: Owner, operator: Owner) -> None:
    default = {"max_bytes": 3 * len(PNG), "bytes": 0, "max_files": 5, "files": 0}
    assert put(client, operator, owner) == NONE_SET | {"user_id": str(owner.id), "usage": default}
    assert put(client, operator, owner, max_files=2)["usage"] == default | {"max_files": 2}
    assert [upload(client, owner) for _ in range(3)] == [201, 201, 413]
    assert put(client, operator, owner, max_bytes=0, max_files=0)["usage"] == {
        "max_bytes": None, "bytes": 2 * len(PNG), "max_files": None, "files": 2,
    }  # fmt: skip
    assert [upload(client, owner) for _ in range(4)] == [201] * 4
    # Nothing goes of what is there; there is room again once it is less than allowed.
    assert put(client, operator, owner, max_files=6)["usage"]["files"] == 6
    assert upload(client, owner) == 413
    file = client.get("/v1/files", headers=owner.headers).json()["items"][0]
    assert client.delete(file["links"]["self"], headers=owner.headers).status_code == 204
    assert put(client, operator, owner, max_files=6, max_bytes=2**63 - 1)["usage"]["files"] == 5
    assert [upload(client, owner) for _ in range(2)] == [201, 413]


def test_a_refused_upload_leaves_nothing(
    client: TestClient, owner: Owner, operator: Owner, database: psycopg.Connection, settings: Settings
) -> None:
    put(client, operator, owner, max_bytes=len(PNG) - 1)
    assert upload(client, owner) == 413
    batch = client.post("/v1/files/batch", files=[("files", ("a.png", PNG))] * 2, headers=owner.headers)
    assert (batch.status_code, batch.json()["code"]) == (422, "nothing_stored")
    assert count(database, "files") == count(database, "uploads") == len(blobs(settings.storage_dir)) == 0
    assert usage(client, owner) == {"max_bytes": len(PNG) - 1, "bytes": 0, "max_files": 5, "files": 0}


def test_of_a_batch_as_many_small_files_are_stored_as_fit(
    client: TestClient, owner: Owner, database: psycopg.Connection, settings: Settings
) -> None:
    batch = client.post("/v1/files/batch", files=[("files", ("a.png", PNG))] * 5, headers=owner.headers)

    assert (batch.status_code, batch.json()["failed"]) == (201, 2)
    codes = [item["error"] and item["error"]["code"] for item in batch.json()["items"]]
    assert sorted(codes, key=str) == [None] * 3 + ["quota_exceeded"] * 2
    assert (count(database, "files"), count(database, "uploads"), len(blobs(settings.storage_dir))) == (3, 0, 3)
    assert (usage(client, owner)["bytes"], usage(client, owner)["files"]) == (3 * len(PNG), 3)


def test_quotas_are_for_operators_and_of_users(client: TestClient, owner: Owner, operator: Owner) -> None:
    for method in ("GET", "PUT"):
        refused = client.request(method, path_of(owner.id), json=NONE_SET, headers=owner.headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        unknown = client.request(method, path_of(uuid4()), json=NONE_SET, headers=operator.headers)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "user_not_found")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"max_bytes": -1, "max_files": 1}, "/max_bytes"),
        ({"max_bytes": 2**63, "max_files": 1}, "/max_bytes"),
        ({"max_bytes": 1, "max_files": "1"}, "/max_files"),
        ({"max_bytes": 1}, "/max_files"),
        ({"max_bytes": 1, "max_files": 1, "files": 1}, "/files"),
    ],
)
def test_malformed_quotas_are_refused(
    client: TestClient, owner: Owner, operator: Owner, body: dict[str, Any], pointer: str
) -> None:
    answer = client.put(path_of(owner.id), json=body, headers=operator.headers)
    assert (answer.status_code, pointers(answer)) == (422, [pointer])


def test_whose_account_is_gone_has_no_limits(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    database.execute("DELETE FROM users WHERE id = %s", (owner.id,))
    assert client.get("/v1/limits", headers=owner.headers).status_code == 401


def test_the_systems_own_user_has_no_quota(client: TestClient, operator: Owner) -> None:
    path = path_of(SYSTEM_OWNER_ID)
    answers = client.get(path, headers=operator.headers), client.put(path, json=NONE_SET, headers=operator.headers)
    assert [answer.status_code for answer in answers] == [404, 404]
