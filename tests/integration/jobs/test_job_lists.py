from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from api.job_lists import JobFilter, select_jobs
from api.pages import PageQuery, Sort
from shared.ids import new_id
from shared.job_kind import JobKind
from shared.settings import Settings
from shared.webhook_queue import KIND
from tests import factories
from tests.bench.ledger_rows import fill_ledger
from tests.bench.plans import PlanCatcher
from tests.conftest import Owner
from tests.integration.jobs.conftest import JSON, Post, echo

Database = psycopg.Connection[Any]


def test_lists_page_without_gaps_or_repeats(client: TestClient, post: Post, owner: Owner) -> None:
    made = [post(echo(tags=[f"n:{number}"])).json()["id"] for number in range(7)]
    for sort, expected in (("-created_at", made[::-1]), ("created_at", made)):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            query: JSON = {"limit": 3, "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = client.get("/v1/jobs", params=query, headers=owner.headers).json()
            seen += [job["id"] for job in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == expected


def test_filters(client: TestClient, post: Post, owner: Owner) -> None:
    one = post(echo(tags=["red", "big"])).json()
    two = post(echo(tags=["red"])).json()
    client.post(f"/v1/jobs/{two['id']}/cancel", headers=owner.headers)

    def ids(**query: Any) -> set[str]:
        answer = client.get("/v1/jobs", params=query, headers=owner.headers)
        assert answer.status_code == 200, answer.text
        return {job["id"] for job in answer.json()["items"]}

    assert ids(state="cancelled") == {two["id"]}
    assert ids(state=["cancelled", "queued"]) == {one["id"], two["id"]}
    assert ids(tag=["red", "big"]) == {one["id"]}
    assert ids(kind="demo.other") == set()
    assert ids(id=[one["id"], str(new_id())]) == {one["id"]}
    assert ids(created_after=(datetime.now(UTC) + timedelta(days=1)).isoformat()) == set()


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "cursor=nonsense", "cursor=MjAyNg", "state=gone", "id=7",
              "created_after=2026-01-01T00:00:00", "sort=name", "cursor=%00", "tag=" + "x" * 65]
)  # fmt: skip
def test_bad_queries(client: TestClient, owner: Owner, query: str) -> None:
    answer = client.get(f"/v1/jobs?{query}", headers=owner.headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("query/")


def test_a_kind_with_nul_is_no_server_error(client: TestClient, owner: Owner) -> None:
    assert client.get("/v1/jobs?kind=%00", headers=owner.headers).status_code == 422


def test_lists_and_bulk_actions_mean_silent_jobs_only_by_name(
    client: TestClient, owner: Owner, settings: Settings, database: Database, kinds: dict[str, JobKind]
) -> None:
    shown = factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id))
    delivery = {"delivery_id": str(new_id())}
    silent = factories.enqueue(database, factories.new_job(kinds[KIND], owner.id, delivery, silent=True))

    def listed(**criteria: Any) -> set[UUID]:
        page = client.get("/v1/jobs", params={"limit": 10} | criteria, headers=owner.headers).json()
        return {UUID(job["id"]) for job in page["items"]} & {shown, silent}

    def matched(**criteria: Any) -> int:
        body = {"action": "purge", "filter": criteria}
        bulk = client.post("/v1/jobs/bulk", json=body, headers=owner.headers).json()
        with factories.open_runner(settings, kinds) as runner:
            factories.run_job(runner, database, kinds["jobs.bulk"], UUID(bulk["id"]))
        return client.get(f"/v1/jobs/{bulk['id']}", headers=owner.headers).json()["result"]["matched"]

    assert listed() == listed(state="queued") == {shown}
    assert listed(kind=[KIND]) == {silent}
    assert listed(kind=[KIND, "test.echo"]) == listed(id=[str(shown), str(silent)]) == {shown, silent}
    database.execute("UPDATE jobs SET state = 'cancelled' WHERE state = 'queued'")
    assert [matched(state=["cancelled"]), matched(state=["cancelled"])] == [1, 0]
    assert matched(kind=[KIND], state=["cancelled"]) == 1


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
def test_a_page_reads_no_more_rows_than_it_shows_however_many_silent_jobs_lie_between(
    database: Database, owner: Owner, sort: Sort
) -> None:
    for number in range(3):
        fill_ledger(database, [owner.id], 40)
        fill_ledger(database, [owner.id], 1_000, bell=f"silent {number}")
        database.execute("UPDATE jobs SET silent = true WHERE created_at = (SELECT max(created_at) FROM jobs)")
    database.execute("ANALYZE jobs")
    statement = select_jobs(owner.id, PageQuery(limit=50), JobFilter([], [], [], [], None, sort))
    catcher = PlanCatcher(database)
    engine = create_engine("postgresql+psycopg://", creator=lambda: database, poolclass=StaticPool)

    with engine.connect() as connection:
        # The sixth execution gets a lasting plan.
        for _ in range(7):
            assert len(connection.execute(statement).all()) == 51

    plans = [plan for plan in catcher.plans if plan.scans("jobs")]
    assert len(plans) == 7
    for plan in plans:
        shown = "\n".join([plan.statement, *plan.describe()])
        assert plan.scans("jobs") == {"Index Scan"}, shown
        assert plan.rows_touched("jobs") == 51, shown
        assert not any("Sort" in node["Node Type"] for node in plan.nodes()), shown
