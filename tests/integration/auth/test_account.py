import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from passlib.context import CryptContext

from api.passwords import THREADS, Passwords
from tests.integration.auth.conftest import PASSWORD, Member, bearer, credentials, pointers

NEW = "another horse, another battery"


def change(client: TestClient, member: Member, **fields: object) -> dict[str, Any]:
    response = client.patch("/v1/users/me", headers=member.headers, json=fields)
    return {"status": response.status_code} | response.json()


def test_a_name_is_changed_kept_and_removed(client: TestClient, member: Member) -> None:
    assert change(client, member, name="Ada")["name"] == "Ada"
    assert change(client, member)["name"] == "Ada"
    assert client.get("/v1/users/me", headers=member.headers).json()["name"] == "Ada"
    assert change(client, member, name=None)["name"] is None


def test_a_new_password_ends_every_sign_in(client: TestClient, member: Member) -> None:
    elsewhere = client.post("/v1/auth/login", json=credentials()).json()["refresh_token"]
    assert change(client, member, password=NEW, current_password=PASSWORD)["status"] == 200
    for token in (member.refresh_token, elsewhere):
        assert client.post("/v1/auth/refresh", json={"refresh_token": token}).status_code == 401
    assert client.post("/v1/auth/login", json=credentials()).status_code == 401
    assert client.post("/v1/auth/login", json=credentials(password=NEW)).status_code == 200


@pytest.mark.parametrize("known", [{}, {"current_password": None}, {"current_password": "not the current one"}])
def test_a_new_password_needs_the_current_one(client: TestClient, member: Member, known: dict[str, object]) -> None:
    answer = change(client, member, name="Eve", password=NEW, **known)
    assert answer["status"] == 422
    assert pointers(answer) == {"/current_password"}
    assert client.post("/v1/auth/login", json=credentials()).status_code == 200
    assert client.get("/v1/users/me", headers=member.headers).json()["name"] is None


@pytest.mark.parametrize("field", ["email", "role", "is_active", "id"])
def test_nothing_else_can_be_changed(client: TestClient, member: Member, field: str) -> None:
    answer = change(client, member, **{field: "admin"})
    assert answer["status"] == 422
    assert pointers(answer) == {f"/{field}"}


@pytest.mark.anyio
async def test_of_two_changes_at_once_one_knew_the_current_password(overlapping: httpx2.AsyncClient) -> None:
    await overlapping.post("/v1/auth/register", json=credentials())
    pair = (await overlapping.post("/v1/auth/login", json=credentials())).json()
    bodies = [{"password": f"{NEW} {number}", "current_password": PASSWORD} for number in range(2)]
    headers = bearer(pair["access_token"])
    answers = await asyncio.gather(
        *(overlapping.patch("/v1/users/me", headers=headers, json=body) for body in bodies),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]


@pytest.mark.anyio
async def test_a_sign_in_with_the_old_password_does_not_outlive_its_change(
    app: FastAPI, overlapping: httpx2.AsyncClient, database: psycopg.Connection[Any], database_url: str
) -> None:
    """The change is done by hand up to its commit, which the sign-in has to wait for after it checked the password."""
    await overlapping.post("/v1/auth/register", json=credentials())
    new_hash = await app.state.resources.passwords.hash(NEW)
    with psycopg.connect(database_url) as rival:
        rival.execute("UPDATE users SET password_hash = %s WHERE email = 'ada@example.com'", (new_hash,))
        login = asyncio.create_task(overlapping.post("/v1/auth/login", json=credentials()))
        while not database.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)  # PostgreSQL tells nobody that somebody began to wait
        rival.commit()
    assert (await login).status_code == 401
    assert database.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (0,)


@pytest.mark.anyio
async def test_others_are_answered_while_passwords_wait_for_their_threads(
    app: FastAPI, overlapping: httpx2.AsyncClient
) -> None:
    await overlapping.post("/v1/auth/register", json=credentials())
    gate = threading.Event()
    passwords: Passwords = app.state.resources.passwords
    threads = passwords._threads  # pyright: ignore[reportPrivateUsage] - shown nowhere else
    held: list[Future[bool]] = [threads.submit(gate.wait) for _ in range(THREADS)]
    logins = [asyncio.create_task(overlapping.post("/v1/auth/login", json=credentials())) for _ in range(8)]
    try:
        for _ in range(20):
            assert (await overlapping.get("/health/live")).status_code == 200
        assert not any(login.done() for login in logins)
    finally:
        gate.set()
    assert [(await login).status_code for login in logins] == [200] * 8
    assert all(future.result() for future in held)


@pytest.mark.anyio
async def test_others_are_answered_while_a_hash_is_computed(overlapping: httpx2.AsyncClient) -> None:
    slow = CryptContext(["argon2"], argon2__rounds=60, argon2__memory_cost=19456, argon2__parallelism=1)
    known = slow.hash(PASSWORD)
    passwords = Passwords()
    checks = [asyncio.create_task(passwords.verify(PASSWORD, known)) for _ in range(THREADS)]
    for _ in range(5):
        assert (await overlapping.get("/health/live")).status_code == 200
    assert not any(check.done() for check in checks)
    assert all([await check for check in checks])
    passwords.close()


def test_no_secret_is_logged_or_answered(
    client: TestClient,
    member: Member,
    database: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "wrong but secret all the same"
    answers = [
        client.post("/v1/auth/login", json=credentials(password=wrong)),
        client.post("/v1/auth/login", json={"email": 7, "password": wrong}),
        client.post("/v1/auth/login", content=f'{{"email": "a", "password": "{wrong}"'.encode()),
        client.post("/v1/auth/login", json=[wrong]),
        client.post("/v1/auth/token", data={"username": "ada@example.com", "password": wrong, "grant_type": wrong}),
        client.post("/v1/auth/register", json=credentials("ada@", wrong)),
        client.post("/v1/auth/register", json=credentials(password=wrong)),
        client.post("/v1/auth/refresh", json={"refresh_token": wrong}),
        client.post("/v1/auth/refresh", json={"refresh_token": wrong * 20}),
        client.patch("/v1/users/me", headers=member.headers, json={"password": wrong, "current_password": wrong}),
        client.patch("/v1/users/me", headers=member.headers, json={"password": wrong}),
        client.get("/v1/users/me", headers=bearer(member.access_token[:-4])),
    ]
    assert {answer.status_code for answer in answers} <= {400, 401, 409, 422}
    client.post("/v1/auth/refresh", json={"refresh_token": member.refresh_token})
    client.post("/v1/auth/refresh", json={"refresh_token": member.refresh_token})
    row = database.execute("SELECT password_hash FROM users WHERE email = %s", (member.email,)).fetchone()
    assert row is not None
    said = caplog.text + "".join(answer.text for answer in answers)
    assert "came again" in said
    for secret in (wrong, PASSWORD, member.refresh_token, member.access_token[:-4], row[0]):
        assert secret not in said
