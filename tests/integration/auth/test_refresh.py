import asyncio
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.integration.auth.conftest import MakeMember, Member, bearer, credentials, pointers


def spend(client: TestClient, token: str) -> dict[str, Any]:
    response = client.post("/v1/auth/refresh", json={"refresh_token": token})
    return {"status": response.status_code} | response.json()


def test_a_refresh_gives_the_next_pair(client: TestClient, member: Member) -> None:
    response = client.post("/v1/auth/refresh", json={"refresh_token": member.refresh_token})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    pair = response.json()
    assert pair["refresh_token"] != member.refresh_token
    assert client.get("/v1/users/me", headers=bearer(pair["access_token"])).status_code == 200
    assert spend(client, pair["refresh_token"])["status"] == 200


def test_a_used_token_that_comes_again_ends_its_family_and_no_other(
    client: TestClient, member: Member, make_member: MakeMember
) -> None:
    elsewhere = client.post("/v1/auth/login", json=credentials(member.email)).json()["refresh_token"]
    eve = make_member("eve@example.com")
    following = spend(client, member.refresh_token)["refresh_token"]
    again = spend(client, member.refresh_token)
    assert again["status"] == 401
    assert again["code"] == "invalid_refresh_token"
    assert spend(client, following)["status"] == 401
    assert spend(client, elsewhere)["status"] == 200
    assert spend(client, eve.refresh_token)["status"] == 200


@pytest.mark.anyio
async def test_of_two_refreshes_at_once_one_succeeds_and_the_family_ends(overlapping: httpx2.AsyncClient) -> None:
    await overlapping.post("/v1/auth/register", json=credentials())
    for _ in range(10):
        pair = (await overlapping.post("/v1/auth/login", json=credentials())).json()
        body = {"refresh_token": pair["refresh_token"]}
        responses = await asyncio.gather(*(overlapping.post("/v1/auth/refresh", json=body) for _ in range(2)))
        assert sorted(response.status_code for response in responses) == [200, 401]
        winner = next(response for response in responses if response.status_code == 200)
        following = {"refresh_token": winner.json()["refresh_token"]}
        assert (await overlapping.post("/v1/auth/refresh", json=following)).status_code == 401


@pytest.mark.anyio
async def test_a_revocation_reaches_a_token_whose_rotation_was_under_way(
    overlapping: httpx2.AsyncClient, database: psycopg.Connection[Any], database_url: str
) -> None:
    """The rotation is done by hand up to its commit, which the revocation then has to wait for."""
    await overlapping.post("/v1/auth/register", json=credentials())
    first = (await overlapping.post("/v1/auth/login", json=credentials())).json()["refresh_token"]
    answer = await overlapping.post("/v1/auth/refresh", json={"refresh_token": first})
    second = answer.json()["refresh_token"]
    with psycopg.connect(database_url) as rotation:
        rotation.execute("UPDATE refresh_tokens SET used_at = now() WHERE used_at IS NULL")
        rotation.execute(
            "INSERT INTO refresh_tokens (token_hash, family_id, user_id, expires_at) "
            "SELECT sha256('third'), family_id, user_id, expires_at FROM refresh_tokens LIMIT 1"
        )
        reuse = asyncio.create_task(overlapping.post("/v1/auth/refresh", json={"refresh_token": first}))
        while not database.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)  # PostgreSQL tells nobody that somebody began to wait
        rotation.commit()
    assert (await reuse).status_code == 401
    for token in (second, "third"):
        response = await overlapping.post("/v1/auth/refresh", json={"refresh_token": token})
        assert response.status_code == 401


def test_a_token_ends_at_its_time(client: TestClient, member: Member, database: psycopg.Connection[Any]) -> None:
    database.execute("UPDATE refresh_tokens SET expires_at = now()")
    assert spend(client, member.refresh_token)["status"] == 401


def test_a_user_who_is_no_longer_active_gets_no_pair(
    client: TestClient, member: Member, database: psycopg.Connection[Any]
) -> None:
    database.execute("UPDATE users SET is_active = false WHERE email = %s", (member.email,))
    assert spend(client, member.refresh_token)["status"] == 401
    assert client.get("/v1/users/me", headers=member.headers).status_code == 401


def test_tokens_are_stored_as_hashes(member: Member, database: psycopg.Connection[Any]) -> None:
    row = database.execute(
        "SELECT token_hash = sha256(%s), expires_at - created_at = interval '30 days' FROM refresh_tokens",
        (member.refresh_token.encode(),),
    ).fetchone()
    assert row == (True, True)


def test_a_login_forgets_tokens_that_expired_long_ago(
    client: TestClient, member: Member, database: psycopg.Connection[Any]
) -> None:
    database.execute("UPDATE refresh_tokens SET expires_at = now() - interval '2 days'")
    client.post("/v1/auth/login", json=credentials(member.email))
    assert database.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (1,)


@pytest.mark.parametrize("token", ["unknown", "x" * 200, "\u0000", "é"])
def test_an_unknown_token_is_refused(client: TestClient, token: str) -> None:
    assert spend(client, token)["code"] == "invalid_refresh_token"


@pytest.mark.parametrize("token", ["", "x" * 201, "x" * 100_000, None, 7])
def test_a_token_that_cannot_be_one_is_named_and_not_echoed(client: TestClient, token: object) -> None:
    for path in ("/v1/auth/refresh", "/v1/auth/logout"):
        response = client.post(path, json={"refresh_token": token})
        assert response.status_code == 422
        assert pointers(response.json()) == {"/refresh_token"}
        assert "xxx" not in response.text


def test_an_access_token_is_no_refresh_token(client: TestClient, member: Member) -> None:
    assert spend(client, member.access_token)["status"] in {401, 422}


def test_a_logout_ends_the_family_and_may_be_repeated(client: TestClient, member: Member) -> None:
    elsewhere = client.post("/v1/auth/login", json=credentials(member.email)).json()["refresh_token"]
    following = spend(client, member.refresh_token)["refresh_token"]
    for token in (member.refresh_token, following, "unknown"):
        response = client.post("/v1/auth/logout", json={"refresh_token": token})
        assert response.status_code == 204
        assert response.content == b""
    assert spend(client, following)["status"] == 401
    assert spend(client, elsewhere)["status"] == 200
