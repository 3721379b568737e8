"""Presets: renditions under a name of their owner's, to be named in orders."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.image_presets import MOST_PRESETS
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, count, form, part, pointers

PATH = "/v1/image-presets"
THUMBNAIL = {"width": 200, "height": 200, "fit": "cover", "gravity": "north", "format": "webp", "quality": 70}
REST = {"progressive": False, "background": "#ffffff", "enlarge": False}
RIVALS = 20
Order = Callable[[TestClient, Owner, str], Any]


def put(client: TestClient, owner: Owner, name: str, *renditions: dict[str, Any]) -> Any:
    return client.put(f"{PATH}/{name}", json={"renditions": renditions or [THUMBNAIL]}, headers=owner.headers)


def order_by_json(client: TestClient, owner: Owner, preset: str, **headers: str) -> Any:
    file_id = client.post("/v1/files", content=PNG, headers=owner.headers | {"Idempotency-Key": "file"}).json()["id"]
    return client.post("/v1/images", json={"file_id": file_id, "preset": preset}, headers=owner.headers | headers)


def order_by_form(client: TestClient, owner: Owner, preset: str, **headers: str) -> Any:
    body = form(part("preset", preset.encode()), part("file", PNG, "a.png"))
    return client.post("/v1/images", content=body, headers=owner.headers | FORM | headers)


ORDERS = pytest.mark.parametrize("order", [order_by_json, order_by_form])


def test_made_read_replaced_deleted(client: TestClient, owner: Owner) -> None:
    made = put(client, owner, "thumb_1-a")
    assert (made.status_code, made.headers["location"]) == (201, f"{PATH}/thumb_1-a")
    first = made.json()
    assert (first["name"], first["links"]) == ("thumb_1-a", {"self": f"{PATH}/thumb_1-a"})
    assert first["renditions"] == [THUMBNAIL | REST]
    assert client.get(f"{PATH}/thumb_1-a", headers=owner.headers).json() == first

    replaced = put(client, owner, "thumb_1-a", {"width": 9}, {"height": 8})
    assert (replaced.status_code, "location" in replaced.headers) == (200, False)
    second = replaced.json()
    assert [(each["width"], each["height"]) for each in second["renditions"]] == [(9, None), (None, 8)]
    assert second["created_at"] == first["created_at"] == first["updated_at"] < second["updated_at"]
    assert client.get(f"{PATH}/thumb_1-a", headers=owner.headers).json() == second

    assert client.delete(f"{PATH}/thumb_1-a", headers=owner.headers).status_code == 204
    for method in ("GET", "DELETE"):
        gone = client.request(method, f"{PATH}/thumb_1-a", headers=owner.headers)
        assert (gone.status_code, gone.json()["code"]) == (404, "image_preset_not_found")


def test_a_name_is_its_owners(client: TestClient, owner: Owner, stranger: Owner) -> None:
    assert put(client, owner, "web", {"width": 1}).status_code == 201
    for method in ("GET", "DELETE"):
        assert client.request(method, f"{PATH}/web", headers=stranger.headers).status_code == 404
        assert client.request(method, f"{PATH}/web").status_code == 401
    assert client.get(PATH, headers=stranger.headers).json() == {"items": [], "next_cursor": None}

    assert put(client, stranger, "web", {"width": 2}).status_code == 201

    assert client.get(f"{PATH}/web", headers=owner.headers).json()["renditions"][0]["width"] == 1
    assert client.put(f"{PATH}/web", json={"renditions": [THUMBNAIL]}).status_code == 401
    assert client.get(PATH).status_code == 401


def test_a_list_is_sorted_by_name_and_paged(client: TestClient, owner: Owner) -> None:
    for name in ("b", "0", "a-2", "a_1", "a"):
        put(client, owner, name)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.get(PATH, params=query, headers=owner.headers).json()
        found += [each["name"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert found == ["0", "a", "a-2", "a_1", "b"]


def test_a_cursor_of_nobodys_is_refused(client: TestClient, owner: Owner) -> None:
    for cursor in ("", "x", "AAAA", "YSBi", "\u00fc", "gA", "8J-YgA"):
        answer = client.get(PATH, params={"cursor": cursor}, headers=owner.headers)
        assert (answer.status_code, answer.json()["code"], pointers(answer)) == (
            422,
            "invalid_cursor",
            ["query/cursor"],
        )


def test_longest_name_and_most_renditions(client: TestClient, owner: Owner) -> None:
    assert put(client, owner, "x" * 63, *[THUMBNAIL] * 20).status_code == 201
    assert put(client, owner, "x" * 64).status_code == 422


def test_names_that_are_none(client: TestClient, owner: Owner) -> None:
    for name in ("Web", "-web", "_web", "w b", "w.b", "w%0A", "%C3%BC", "w%00"):
        for answer in (put(client, owner, name), client.get(f"{PATH}/{name}", headers=owner.headers)):
            assert (answer.status_code, pointers(answer)) == (422, ["path/name"])


BODIES: list[tuple[Any, str, str]] = [
    ({}, "/renditions", "missing"),
    ({"renditions": None}, "/renditions", "list_type"),
    ({"renditions": []}, "/renditions", "too_short"),
    ({"renditions": [THUMBNAIL] * 21}, "/renditions", "too_long"),
    ({"renditions": [{}]}, "/renditions/0", "side_missing"),
    ({"renditions": [THUMBNAIL, {"width": 5, "fit": "pad"}]}, "/renditions/1/fit", "side_missing"),
    ({"renditions": [{"width": "5"}]}, "/renditions/0/width", "int_type"),
    ({"renditions": [THUMBNAIL], "name": "other"}, "/name", "extra_forbidden"),
    ([], "", "model_attributes_type"),
]


def test_bodies_that_are_wrong(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    for body, pointer, code in BODIES:
        answer = client.put(f"{PATH}/web", json=body, headers=owner.headers)
        assert answer.status_code == 422
        assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert count(database, "image_presets") == 0


def test_the_last_places_are_given_once(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    names = [f"old{number}" for number in range(MOST_PRESETS - 5)]
    database.execute(
        "INSERT INTO image_presets (owner_id, name, renditions) SELECT %s, unnest(%s::text[]), '[]'", (owner.id, names)
    )
    at_once = Barrier(RIVALS)

    def send(number: int) -> Any:
        at_once.wait()
        return put(client, owner, f"new{number}")

    with ThreadPoolExecutor(RIVALS) as pool:
        answers = list(pool.map(send, range(RIVALS)))

    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * (RIVALS - 5)
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"too_many_image_presets"}
    assert count(database, "image_presets") == MOST_PRESETS
    made = next(number for number, answer in enumerate(answers) if answer.status_code == 201)
    assert put(client, owner, f"new{made}").status_code == 200


def test_rivals_for_a_name_make_one_preset(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    at_once = Barrier(RIVALS)

    def send(number: int) -> Any:
        at_once.wait()
        return put(client, owner, "web", {"width": number + 1})

    with ThreadPoolExecutor(RIVALS) as pool:
        answers = list(pool.map(send, range(RIVALS)))

    assert sorted(answer.status_code for answer in answers) == [200] * (RIVALS - 1) + [201]
    last = max((answer.json() for answer in answers), key=lambda preset: preset["updated_at"])
    assert client.get(f"{PATH}/web", headers=owner.headers).json() == last
    assert count(database, "image_presets") == 1


@ORDERS
def test_an_order_takes_the_preset_as_it_is(client: TestClient, owner: Owner, order: Order) -> None:
    put(client, owner, "123", THUMBNAIL, {"width": 7})

    answer = order(client, owner, "123")
    put(client, owner, "123", {"width": 1})

    assert answer.status_code == 202
    job = client.get(answer.headers["location"], headers=owner.headers).json()
    assert "preset" not in job["input"]
    assert job["input"]["renditions"][0] == THUMBNAIL | REST
    assert [each["width"] for each in job["input"]["renditions"]] == [200, 7]


@ORDERS
def test_a_repeated_order_gets_its_first_answer_whatever_became_of_the_preset(
    client: TestClient, owner: Owner, database: psycopg.Connection, order: Callable[..., Any]
) -> None:
    put(client, owner, "web")
    first = order(client, owner, "web", **{"Idempotency-Key": "order-1"})
    client.delete(f"{PATH}/web", headers=owner.headers)

    second = order(client, owner, "web", **{"Idempotency-Key": "order-1"})

    assert (first.status_code, second.status_code, second.json()) == (202, 202, first.json())
    assert second.headers["idempotency-replayed"] == "true"
    assert count(database, "jobs") == 1


@ORDERS
def test_a_preset_that_is_not_there_or_another_owners(
    client: TestClient, owner: Owner, stranger: Owner, database: psycopg.Connection, order: Order
) -> None:
    put(client, stranger, "theirs")

    for name in ("theirs", "nobodys"):
        answer = order(client, owner, name)
        assert (answer.status_code, answer.json()["code"], pointers(answer)) == (
            404,
            "image_preset_not_found",
            ["/preset"],
        )
    assert count(database, "jobs") == 0


@ORDERS
def test_a_name_that_is_none_in_an_order(client: TestClient, owner: Owner, order: Order) -> None:
    for name in ("Web", "x" * 64, "web\n", "\0"):
        answer = order(client, owner, name)
        assert (answer.status_code, pointers(answer)) == (422, ["/preset"])
