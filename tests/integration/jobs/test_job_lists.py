from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from shared.ids import new_id
from tests.conftest import Owner
from tests.integration.jobs.conftest import JSON, Post, echo


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
