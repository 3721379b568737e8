import asyncio
import json
from typing import Any

import httpx2
import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.integration.auth.conftest import PASSWORD, credentials, pointers

JSON = {"Content-Type": "application/json"}


def test_registering_makes_an_account(client: TestClient) -> None:
    response = client.post("/v1/auth/register", json=credentials() | {"name": "  Ada  "})
    assert response.status_code == 201
    assert response.headers["location"] == "/v1/users/me"
    account = response.json()
    assert set(account) == {"id", "email", "name", "role", "created_at"}
    assert account["email"] == "ada@example.com"
    assert account["name"] == "Ada"
    assert account["role"] == "user"


def test_only_an_argon2id_hash_is_stored(client: TestClient, database: psycopg.Connection[Any]) -> None:
    client.post("/v1/auth/register", json=credentials())
    row = database.execute("SELECT * FROM users WHERE email = 'ada@example.com'").fetchone()
    assert row is not None
    assert any(str(value).startswith("$argon2id$v=19$m=19456,t=2,p=1$") for value in row)
    assert not any(PASSWORD in str(value) for value in row)


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@example.com", "Ada@EXAMPLE.com"])
def test_an_address_is_taken_whatever_its_case(client: TestClient, again: str) -> None:
    client.post("/v1/auth/register", json=credentials())
    response = client.post("/v1/auth/register", json=credentials(again))
    assert response.status_code == 409
    assert response.json()["code"] == "email_taken"
    assert pointers(response.json()) == {"/email"}


def test_an_address_has_one_spelling(client: TestClient) -> None:
    response = client.post("/v1/auth/register", json=credentials("Jürgen@XN--EXMPLE-CUA.com"))
    assert response.json()["email"] == "Jürgen@exämple.com"
    decomposed = client.post("/v1/auth/register", json=credentials("Ju\u0308rgen@exämple.com"))
    assert decomposed.status_code == 409
    assert client.post("/v1/auth/login", json=credentials("jÜrgen@EXÄMPLE.com")).status_code == 200


@pytest.mark.anyio
async def test_of_two_registrations_at_once_one_gets_the_address(overlapping: httpx2.AsyncClient) -> None:
    responses = await asyncio.gather(
        overlapping.post("/v1/auth/register", json=credentials("ada@example.com")),
        overlapping.post("/v1/auth/register", json=credentials("Ada@example.com")),
    )
    assert sorted(response.status_code for response in responses) == [201, 409]


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "ada@localhost",
        "system@jobyard.invalid",
        "Ada <ada@example.com>",
        "ada@example.com\u0000",
        "ada\n@example.com",
        "\ud800@example.com",
        "a" * 10_000 + "@example.com",
        "ada@example.com,eve@example.com",
        None,
        7,
        ["ada@example.com"],
    ],
)
def test_an_address_that_is_none_is_named(client: TestClient, email: object) -> None:
    response = client.post("/v1/auth/register", content=as_json({"email": email, "password": PASSWORD}), headers=JSON)
    assert response.status_code == 422
    assert pointers(response.json()) == {"/email"}


@pytest.mark.parametrize("password", ["", "seven77", "x" * 129, "p" * 10_000, "\ud800" * 9, None, 12345678, ["x" * 8]])
def test_a_password_that_does_not_do_is_named_and_not_echoed(client: TestClient, password: object) -> None:
    response = client.post(
        "/v1/auth/register", content=as_json({"email": "ada@example.com", "password": password}), headers=JSON
    )
    assert response.status_code == 422
    assert pointers(response.json()) == {"/password"}
    assert "seven77" not in response.text
    assert "ppp" not in response.text
    assert "12345678" not in response.text


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "Ada\u0000", "\u001b[31mAda", 7])
def test_a_name_that_does_not_do_is_named(client: TestClient, name: object) -> None:
    response = client.post("/v1/auth/register", content=as_json(credentials() | {"name": name}), headers=JSON)
    assert response.status_code == 422
    assert pointers(response.json()) == {"/name"}


def test_missing_and_unknown_fields_are_named(client: TestClient) -> None:
    response = client.post("/v1/auth/register", json={"role": "admin"})
    assert response.status_code == 422
    assert pointers(response.json()) == {"/email", "/password", "/role"}


@pytest.mark.parametrize(
    "body", [b'{"email": "\xff\xfe@example.com", "password": "12345678"}', b"{", b"", b"[" * 200_000, b"null"]
)
def test_a_body_that_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    response = client.post("/v1/auth/register", content=body, headers=JSON)
    assert response.status_code in {400, 422}
    assert response.headers["content-type"] == "application/problem+json"


def test_a_body_over_the_limit_is_refused_while_it_arrives(client: TestClient) -> None:
    chunks = (b" " * 65_536 for _ in range(32))
    response = client.post("/v1/auth/register", content=chunks, headers=JSON)
    assert response.status_code == 413


def as_json(body: object) -> bytes:
    """Encode as JSON with escapes, which lone surrogates survive."""
    return json.dumps(body).encode()
