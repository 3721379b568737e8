"""An operator has files cleaned up, or asks what would be."""

from uuid import UUID

import psycopg
from fastapi.testclient import TestClient

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, count, pointers

PATH = "/v1/admin/files/clean"


def test_an_operator_asks_first_and_cleans_then(
    client: TestClient,
    settings: Settings,
    database: psycopg.Connection,
    kinds: dict[str, JobKind],
    owner: Owner,
    operator: Owner,
) -> None:
    assert client.post("/v1/files", content=PNG, headers=owner.headers).status_code == 201
    database.execute("UPDATE files SET expires_at = now()")
    for dry_run, left in ((True, 1), (False, 0)):
        accepted = client.post(PATH, json={"dry_run": dry_run}, headers=operator.headers)
        assert accepted.status_code == 202
        job_id = UUID(accepted.json()["id"])
        with factories.open_runner(settings, kinds) as runner:
            assert factories.run_job(runner, database, kinds["files.clean"], job_id) == "succeeded"
        result = client.get(accepted.headers["location"], headers=operator.headers).json()["result"]
        assert (result["expired"], len(result["would_delete"]), count(database, "files")) == (1, left, left)


def test_it_is_for_operators_and_says_what_is_meant(client: TestClient, owner: Owner, operator: Owner) -> None:
    refused = client.post(PATH, json={"dry_run": True}, headers=owner.headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    vague = client.post(PATH, json={}, headers=operator.headers)
    assert (vague.status_code, pointers(vague)) == (422, ["/dry_run"])


def test_repeated_under_a_key_it_runs_once(client: TestClient, database: psycopg.Connection, operator: Owner) -> None:
    headers = operator.headers | {"Idempotency-Key": "clean"}
    first, again = (client.post(PATH, json={"dry_run": True}, headers=headers) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert count(database, "jobs") == 1
