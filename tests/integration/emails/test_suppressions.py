"""The suppression list: one address once, whatever its spelling, and nobody else's business."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.emails.conftest import Post

PATH = "/v1/suppressions"
RIVALS = 20
LONGEST = f"{'ß' * 32}@{'.'.join(['ü' * 29] * 3)}.org"


def add(client: TestClient, owner: Owner, address: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return client.post(PATH, json={"address": address} | body, headers=owner.headers | (headers or {}))


def pages(client: TestClient, owner: Owner, **query: Any) -> list[str]:
    """List every page, two addresses at a time."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(PATH, params={"limit": "2"} | query | cursor, headers=owner.headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [each["address"] for each in page["items"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_added_read_listed_removed(client: TestClient, owner: Owner) -> None:
    made = add(client, owner, "Ann@example.org", reason="complaint", detail="Report 4711 \U0001f600")
    assert (made.status_code, made.headers["location"]) == (201, f"{PATH}/Ann@example.org")
    first = made.json()
    assert {name: first[name] for name in ("address", "reason", "detail", "email_id", "links")} == {
        "address": "Ann@example.org",
        "reason": "complaint",
        "detail": "Report 4711 \U0001f600",
        "email_id": None,
        "links": {"self": f"{PATH}/Ann@example.org"},
    }
    assert client.get(f"{PATH}/ann@EXAMPLE.org", headers=owner.headers).json() == first
    assert client.get(PATH, headers=owner.headers).json() == {"items": [first], "next_cursor": None}

    assert client.delete(f"{PATH}/ANN@example.org", headers=owner.headers).status_code == 204
    for method in ("GET", "DELETE"):
        gone = client.request(method, f"{PATH}/ann@example.org", headers=owner.headers)
        assert (gone.status_code, gone.json()["code"]) == (404, "suppression_not_found")
    assert add(client, owner, "ann@example.org").json()["reason"] == "manual"


def test_what_is_there_already_stays(client: TestClient, owner: Owner) -> None:
    first = add(client, owner, "ann@bücher.example.org", detail="the first")
    for address in ("ANN@BÜCHER.example.org", "ann@xn--bcher-kva.example.org", "ann@bu\u0308cher.example.org"):
        again = add(client, owner, address, reason="complaint", detail="another")
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["location"] == first.headers["location"]


@pytest.mark.parametrize(
    "address", ["a+b@example.org", "a/b/@example.org", "a%b?c#d@example.org", "jürgen@bücher.example.org", LONGEST]
)
def test_an_address_in_a_path(client: TestClient, owner: Owner, address: str) -> None:
    made = add(client, owner, address)
    assert made.status_code == 201, made.text
    for path in (made.headers["location"], f"{PATH}/{quote(address, safe='')}"):
        assert client.get(path, headers=owner.headers).json() == made.json()
    assert client.delete(made.headers["location"], headers=owner.headers).status_code == 204
    assert client.get(PATH, headers=owner.headers).json()["items"] == []


def test_the_list_is_paged_newest_first(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    # All of one moment, as a worker may write them, so that the address alone keeps them apart.
    database.execute(
        "INSERT INTO suppressions (owner_id, address_key, address, reason)"
        " SELECT %s, each, each, 'hard_bounce' FROM unnest(%s::text[]) each",
        (owner.id, ["b@example.org", "a@example.org", LONGEST.casefold()]),
    )
    add(client, owner, "a@example.net")
    add(client, owner, "c@example.net", reason="complaint")
    newest = ["c@example.net", "a@example.net", LONGEST.casefold(), "b@example.org", "a@example.org"]
    assert pages(client, owner) == newest
    assert pages(client, owner, reason="hard_bounce") == newest[2:]
    assert pages(client, owner, reason=["manual", "complaint"]) == newest[:2]
    assert pages(client, owner, address="A@Example.ORG") == ["a@example.org"]
    assert pages(client, owner, address="a@example.org", reason="manual") == []


@pytest.mark.parametrize(
    "cursor", ["", "x", "YSBi", "\u00fc", "MjAyNi0xMS0yNCBh", "MjAyNi0xMS0yNFQxMjowMDowMCswMDowMCAA"]
)
def test_a_cursor_of_nobodys_is_refused(client: TestClient, owner: Owner, cursor: str) -> None:
    answer = client.get(PATH, params={"cursor": cursor}, headers=owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


def test_a_list_is_its_owners(client: TestClient, owner: Owner, stranger: Owner) -> None:
    add(client, owner, "ann@example.org")
    assert pages(client, stranger) == []
    for method in ("GET", "DELETE"):
        assert client.request(method, f"{PATH}/ann@example.org", headers=stranger.headers).status_code == 404
        assert client.request(method, f"{PATH}/ann@example.org").status_code == 401
    assert client.get(PATH).status_code == client.post(PATH, json={"address": "a@example.org"}).status_code == 401
    assert add(client, stranger, "ann@example.org").status_code == 201
    assert pages(client, owner) == ["ann@example.org"]


def test_rivals_add_an_address_once(client: TestClient, owner: Owner) -> None:
    at_once = Barrier(RIVALS)

    def send(number: int) -> Any:
        at_once.wait()
        return add(client, owner, "ann@example.org", detail=str(number))

    with ThreadPoolExecutor(RIVALS) as pool:
        answers = list(pool.map(send, range(RIVALS)))

    assert sorted(answer.status_code for answer in answers) == [200] * (RIVALS - 1) + [201]
    assert {answer.text for answer in answers} == {next(each.text for each in answers if each.status_code == 201)}
    assert pages(client, owner) == ["ann@example.org"]


def test_a_repeated_request_gets_its_first_answer(client: TestClient, owner: Owner) -> None:
    key = {"Idempotency-Key": "one"}
    first = add(client, owner, "ann@example.org", key)
    client.delete(first.headers["location"], headers=owner.headers)
    again = add(client, owner, "ann@example.org", key)
    assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, first.json(), "true")
    assert pages(client, owner) == []


BODIES: list[tuple[dict[str, Any], str]] = [
    ({}, "/address"),
    ({"address": "Ann <ann@example.org>"}, "/address"),
    ({"address": "ann@example.org\n"}, "/address"),
    ({"address": f"{'a' * 300}@example.org"}, "/address"),
    ({"address": "a" * 601}, "/address"),
    ({"address": "\0@example.org"}, "/address"),
    ({"address": "\ud800@example.org"}, "/address"),
    ({"address": None}, "/address"),
    ({"address": "a@example.org", "reason": "unsubscribed"}, "/reason"),
    ({"address": "a@example.org", "reason": "hard_bounce"}, "/reason"),
    ({"address": "a@example.org", "detail": ""}, "/detail"),
    ({"address": "a@example.org", "detail": "x" * 501}, "/detail"),
    ({"address": "a@example.org", "detail": "\0"}, "/detail"),
    ({"address": "a@example.org", "detail": "\ud800"}, "/detail"),
    ({"address": "a@example.org", "more": 1}, "/more"),
]


def test_bodies_that_are_wrong(client: TestClient, owner: Owner) -> None:
    for body, pointer in BODIES:
        # The client's own JSON has no lone surrogates.
        answer = client.post(
            PATH, content=json.dumps(body), headers=owner.headers | {"Content-Type": "application/json"}
        )
        assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, [pointer]), body
    assert client.post(PATH, content=b" " * 2_000_000, headers=owner.headers).status_code == 413
    assert pages(client, owner) == []


def test_addresses_and_filters_that_are_wrong(client: TestClient, owner: Owner) -> None:
    for path in ("/", "/ann", "/%00@example.org", f"/{'a' * 700}"):
        for method in ("GET", "DELETE"):
            assert client.request(method, PATH + path, headers=owner.headers).status_code == 422, path
    for query in ("reason=spam", "address=ann", "address=%00", "reason=manual&" * 11):
        assert client.get(f"{PATH}?{query}", headers=owner.headers).status_code == 422, query


def test_who_is_on_the_list_is_suppressed_from_the_start(post: Post, client: TestClient, stranger: Owner) -> None:
    add(client, post.owner, "ann@example.org")
    add(client, stranger, "ben@example.org")

    email = post.send(to=["Ann <ANN@Example.ORG>", "ben@example.org"])
    assert (email["counts"]["suppressed"], email["counts"]["queued"], email["done"]) == (1, 1, False)
    assert post.states(email) == {"ANN@example.org": "suppressed", "ben@example.org": "queued"}

    client.delete(f"{PATH}/ann@example.org", headers=post.owner.headers)
    assert post.states(email)["ANN@example.org"] == "suppressed"
    assert post.states(post.send(to=["ann@example.org"])) == {"ann@example.org": "queued"}
