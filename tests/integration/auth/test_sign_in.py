import asyncio
from typing import Any
from urllib.parse import urlencode

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from passlib.context import CryptContext

from tests.integration.auth.conftest import PASSWORD, Member, bearer, credentials, pointers

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def form(email: str = "ada@example.com", password: str = PASSWORD) -> dict[str, str]:
    return {"grant_type": "password", "username": email, "password": password}


@pytest.fixture
def ada(client: TestClient) -> str:
    account = client.post("/v1/auth/register", json=credentials()).json()
    return account["id"]


def test_a_login_gives_a_pair_that_works(client: TestClient, ada: str) -> None:
    response = client.post("/v1/auth/login", json=credentials())
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    pair = response.json()
    assert set(pair) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert pair["token_type"] == "bearer"
    assert pair["expires_in"] == 15 * 60
    assert client.get("/v1/users/me", headers=bearer(pair["access_token"])).json()["id"] == ada


def test_the_form_of_oauth_gives_a_pair_that_works(client: TestClient, ada: str) -> None:
    fields = form("ADA@example.com") | {"scope": "", "client_id": "tool", "client_secret": "x"}
    response = client.post("/v1/auth/token", data=fields)
    assert response.status_code == 200
    token = response.json()["access_token"]
    assert client.get("/v1/users/me", headers=bearer(token)).json()["id"] == ada


def test_nobody_learns_which_half_was_wrong(client: TestClient, database: psycopg.Connection[Any], ada: str) -> None:
    client.post("/v1/auth/register", json=credentials("eve@example.com"))
    database.execute("UPDATE users SET is_active = false WHERE email = 'eve@example.com'")
    answers = {
        (response.status_code, response.text, response.headers["www-authenticate"])
        for response in (
            client.post("/v1/auth/login", json=credentials(password="not her password")),
            client.post("/v1/auth/login", json=credentials("nobody@example.com")),
            client.post("/v1/auth/login", json=credentials("eve@example.com")),
            client.post("/v1/auth/login", json=credentials("no address at all")),
            client.post("/v1/auth/login", json=credentials("x@" + "y" * 200)),
            client.post("/v1/auth/token", data=form("nobody@example.com")),
        )
    }
    assert len(answers) == 1
    status, body, challenge = answers.pop()
    assert status == 401
    assert '"invalid_credentials"' in body
    assert challenge == "Bearer"
    assert ada


@pytest.mark.parametrize("stored", ["!", "", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$AAAA", "secret"])
def test_a_row_without_a_hash_cannot_sign_in(
    client: TestClient, database: psycopg.Connection[Any], stored: str
) -> None:
    database.execute("INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'x@y.de', %s)", (stored,))
    for password in ("!", stored or "empty", PASSWORD):
        assert client.post("/v1/auth/login", json=credentials("x@y.de", password)).status_code == 401


def test_the_system_user_cannot_sign_in_even_if_it_is_made_active(
    client: TestClient, database: psycopg.Connection[Any], ada: str
) -> None:
    database.execute(
        "UPDATE users SET is_active = true, password_hash = (SELECT password_hash FROM users WHERE id = %s) "
        "WHERE email = 'system@jobyard.invalid'",
        (ada,),
    )
    assert client.post("/v1/auth/login", json=credentials("system@jobyard.invalid")).status_code == 401


@pytest.mark.parametrize(
    "password",
    [
        "pässwörd ünïcode",
        "\u0000" * 8,
        "before\u0000after",
        "🐎" * 128,
        "x" * 128,
        " leading and trailing ",
        "a+b&c=d%41",
    ],
)
def test_any_password_works_in_json_and_in_the_form(client: TestClient, password: str) -> None:
    assert client.post("/v1/auth/register", json=credentials(password=password)).status_code == 201
    assert client.post("/v1/auth/login", json=credentials(password=password)).status_code == 200
    assert client.post("/v1/auth/token", data=form(password=password)).status_code == 200


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("before\u0000after", "before\u0000other"),
        ("before\u0000after", "before\u0000"),
        ("x" * 127 + "y", "x" * 127 + "z"),
        ("x" * 128, "x" * 127),
        ("trailing ", "trailing"),
        ("CaseMatters", "casematters"),
    ],
)
def test_every_character_of_a_password_counts(client: TestClient, password: str, other: str) -> None:
    client.post("/v1/auth/register", json=credentials(password=password))
    assert client.post("/v1/auth/login", json=credentials(password=other)).status_code == 401


def test_a_password_is_the_same_however_its_accents_are_composed(client: TestClient) -> None:
    client.post("/v1/auth/register", json=credentials(password="caf\u00e9 au lait"))
    assert client.post("/v1/auth/login", json=credentials(password="cafe\u0301 au lait")).status_code == 200


def test_a_form_in_plain_utf8_is_read(client: TestClient) -> None:
    client.post("/v1/auth/register", json=credentials(password="pässwörd"))
    body = "username=ada@example.com&password=pässwörd".encode()
    assert client.post("/v1/auth/token", content=body, headers=FORM).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": ""},
        {},
    ],
)
def test_another_content_type_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/v1/auth/token", content=urlencode(form()).encode(), headers=headers)
    assert response.status_code == 415
    assert response.json()["code"] == "content_type_not_supported"


@pytest.mark.parametrize(
    "body", [b"username=%ff%fe&password=12345678", b"username=\xff&password=12345678", b"a=1&" * 50]
)
def test_a_form_that_cannot_be_read_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/auth/token", content=body, headers=FORM)
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_form"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", {"/username", "/password"}),
        (b"username=ada@example.com", {"/password"}),
        (b"username=&password=", {"/username", "/password"}),
        (b"username=ada&password=" + b"x" * 129, {"/password"}),
        (b"username=" + b"x" * 10_000 + b"&password=12345678", {"/username"}),
        (b"username=ada%00&password=12345678", {"/username"}),
        (b"grant_type=refresh_token&username=ada&password=12345678", {"/grant_type"}),
    ],
)
def test_fields_of_the_form_that_do_not_do_are_named(client: TestClient, body: bytes, named: set[str]) -> None:
    response = client.post("/v1/auth/token", content=body, headers=FORM)
    assert response.status_code == 422
    assert pointers(response.json()) == named
    assert "12345678" not in response.text


def test_a_form_over_the_limit_is_refused_while_it_arrives(client: TestClient) -> None:
    chunks = (b"x" * 65_536 for _ in range(32))
    assert client.post("/v1/auth/token", content=chunks, headers=FORM).status_code == 413


@pytest.mark.parametrize("body", [{}, {"email": "ada@example.com"}, {"password": PASSWORD}])
def test_a_login_names_what_is_missing(client: TestClient, body: dict[str, str]) -> None:
    response = client.post("/v1/auth/login", json=body)
    assert response.status_code == 422
    assert pointers(response.json()) == {"/email", "/password"} - {f"/{name}" for name in body}


def test_a_hash_with_old_parameters_is_made_anew(
    client: TestClient, database: psycopg.Connection[Any], ada: str
) -> None:
    old = CryptContext(["argon2"], argon2__rounds=1, argon2__memory_cost=8192, argon2__parallelism=1).hash(PASSWORD)
    database.execute("UPDATE users SET password_hash = %s WHERE id = %s", (old, ada))
    assert client.post("/v1/auth/login", json=credentials()).status_code == 200
    row = database.execute("SELECT password_hash FROM users WHERE id = %s", (ada,)).fetchone()
    assert row is not None
    assert row[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert client.post("/v1/auth/login", json=credentials()).status_code == 200


@pytest.mark.anyio
async def test_sign_ins_at_once_all_succeed_though_each_makes_an_old_hash_anew(
    overlapping: httpx2.AsyncClient, database: psycopg.Connection[Any]
) -> None:
    old = CryptContext(["argon2"], argon2__rounds=1, argon2__memory_cost=8192, argon2__parallelism=1).hash(PASSWORD)
    await overlapping.post("/v1/auth/register", json=credentials())
    database.execute("UPDATE users SET password_hash = %s WHERE email = 'ada@example.com'", (old,))
    responses = await asyncio.gather(
        *(overlapping.post("/v1/auth/login", json=credentials()) for _ in range(4)),
    )
    assert [response.status_code for response in responses] == [200] * 4


def test_a_wrong_password_makes_no_token(client: TestClient, database: psycopg.Connection[Any], member: Member) -> None:
    client.post("/v1/auth/login", json=credentials(member.email, "not the password"))
    row = database.execute("SELECT count(*) FROM refresh_tokens").fetchone()
    assert row == (1,)


def test_routes_are_described_with_their_errors(app: FastAPI) -> None:
    document = app.openapi()
    operations = {
        (method, path): operation
        for path, item in document["paths"].items()
        if path.startswith(("/v1/auth", "/v1/users"))
        for method, operation in item.items()
    }
    assert len(operations) == 7
    for operation in operations.values():
        assert operation["description"] or operation["summary"]
        assert {"422", "503"} <= set(operation["responses"])
    body = operations["post", "/v1/auth/token"]["requestBody"]["content"]
    assert set(body) == {"application/x-www-form-urlencoded"}
