"""Orders of renditions that are wrong: each is refused, says where and why, and leaves nothing behind."""

import json
from typing import Any

import psycopg
from fastapi.testclient import TestClient

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import FORM, PNG, blobs, count, form, part

SIDE: dict[str, Any] = {"width": 5}
NAN = float("nan")
FILE_ID = "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a"

RENDITIONS: list[tuple[Any, str, str]] = [
    ([{"width": 0}], "/renditions/0/width", "greater_than_equal"),
    ([{"width": -5}], "/renditions/0/width", "greater_than_equal"),
    ([SIDE, {"height": 16_385}], "/renditions/1/height", "less_than_equal"),
    ([{"width": 10**30}], "/renditions/0/width", "less_than_equal"),
    ([{"width": "5"}], "/renditions/0/width", "int_type"),
    ([{"width": "1e3"}], "/renditions/0/width", "int_type"),
    ([{"width": 1e3}], "/renditions/0/width", "int_type"),
    ([{"width": NAN}], "/renditions/0/width", "int_type"),
    ([{"width": True}], "/renditions/0/width", "int_type"),
    ([{"width": [5]}], "/renditions/0/width", "int_type"),
    ([{}], "/renditions/0", "side_missing"),
    ([{"quality": 50}], "/renditions/0", "side_missing"),
    ([{"width": None, "height": None}], "/renditions/0", "side_missing"),
    ([SIDE | {"fit": "cover"}], "/renditions/0/fit", "side_missing"),
    ([{"height": 5, "fit": "pad"}], "/renditions/0/fit", "side_missing"),
    ([{"height": 5, "width": None, "fit": "exact"}], "/renditions/0/fit", "side_missing"),
    ([SIDE | {"fit": "outside"}], "/renditions/0/fit", "literal_error"),
    ([SIDE | {"gravity": "up"}], "/renditions/0/gravity", "literal_error"),
    ([SIDE | {"format": "gif"}], "/renditions/0/format", "literal_error"),
    ([SIDE | {"format": None}], "/renditions/0/format", "literal_error"),
    ([SIDE | {"quality": 0}], "/renditions/0/quality", "greater_than_equal"),
    ([SIDE | {"quality": 101}], "/renditions/0/quality", "less_than_equal"),
    ([SIDE | {"quality": True}], "/renditions/0/quality", "int_type"),
    ([SIDE | {"progressive": 1}], "/renditions/0/progressive", "bool_type"),
    ([SIDE | {"enlarge": "true"}], "/renditions/0/enlarge", "bool_type"),
    ([SIDE | {"background": "white"}], "/renditions/0/background", "string_pattern_mismatch"),
    ([SIDE | {"background": "#fff"}], "/renditions/0/background", "string_pattern_mismatch"),
    ([SIDE | {"background": "#ffffff\n"}], "/renditions/0/background", "string_pattern_mismatch"),
    ([SIDE | {"background": 0xFFFFFF}], "/renditions/0/background", "string_type"),
    ([SIDE | {"hight": 5}], "/renditions/0/hight", "extra_forbidden"),
    ([SIDE | {"a/~b": 5}], "/renditions/0/a~1~0b", "extra_forbidden"),
    ([SIDE, 5], "/renditions/1", "model_type"),
    ([], "/renditions", "too_short"),
    ([SIDE] * 21, "/renditions", "too_long"),
    (SIDE, "/renditions", "list_type"),
    ("[]", "/renditions", "list_type"),
]

FORMS: list[tuple[dict[str, bytes], str, str]] = [
    ({}, "/renditions", "missing_part"),
    ({"renditions": b"", "width": b""}, "/renditions", "missing_part"),
    ({"keep_copyright": b"true"}, "/renditions", "missing_part"),
    ({"renditions": b"[{"}, "/renditions", "json_invalid"),
    ({"renditions": b"[" * 50_000}, "/renditions", "json_invalid"),
    ({"renditions": b"\xff"}, "/renditions", "invalid_part"),
    ({"renditions": b"null"}, "/renditions", "missing"),
    ({"width": b"ten"}, "/width", "int_type"),
    ({"width": b"1e3"}, "/width", "int_type"),
    ({"width": b"5.0"}, "/width", "int_type"),
    ({"width": b" 5"}, "/width", "int_type"),
    ({"width": "\u0665".encode()}, "/width", "int_type"),
    ({"width": b"true"}, "/width", "int_type"),
    ({"width": b"NaN"}, "/width", "int_type"),
    ({"width": b"9" * 5000}, "/width", "int_type"),
    ({"width": b"9" * 30}, "/width", "less_than_equal"),
    ({"width": b"-5"}, "/width", "greater_than_equal"),
    ({"width": b"5", "format": b"svg"}, "/format", "literal_error"),
    ({"width": b"5", "fit": b"cover"}, "/fit", "side_missing"),
    ({"width": b"5", "background": b"123456"}, "/background", "string_type"),
    ({"width": b"5", "progressive": b"yes"}, "/progressive", "bool_type"),
    ({"width": b"5", "enlarge": b"1"}, "/enlarge", "bool_type"),
    ({"width": b"5", "keep_copyright": b"1"}, "/keep_copyright", "bool_type"),
    ({"quality": b"50"}, "", "side_missing"),
    ({"width": b"5", "renditions": b'[{"width": 5}]'}, "/width", "invalid_part"),
    ({"preset": b"web", "height": b"5"}, "/height", "invalid_part"),
    ({"preset": b"web", "renditions": b'[{"width": 5}]'}, "/preset", "renditions_twice"),
    ({"width": b"5", "depth": b"5"}, "/depth", "unknown_part"),
    ({"width": b"5", "file_id": b"5"}, "/file_id", "unknown_part"),
]

BODIES: list[tuple[str, list[tuple[str, str]]]] = [
    ("{", [("", "json_invalid")]),
    ("[]", [("", "model_type")]),
    ("null", [("", "model_type")]),
    ("[" * 100_000, [("", "json_invalid")]),
    ("{}", [("/file_id", "missing")]),
    ('{"file_id": "x"}', [("/file_id", "uuid_parsing")]),
    ('{"file_id": 9' + "9" * 5000 + "}", [("", "json_invalid")]),
    ('{"file_id": "FILE"}', [("/renditions", "missing")]),
    ('{"file_id": "FILE", "renditions": null, "preset": null}', [("/renditions", "missing")]),
    ('{"file_id": "FILE", "renditions": [{"width": 5}], "preset": "web"}', [("/preset", "renditions_twice")]),
    ('{"file_id": "FILE", "preset": 5}', [("/preset", "string_type")]),
    ('{"file_id": "FILE", "width": 5, "renditions": [{"width": 5}]}', [("/width", "extra_forbidden")]),
    ('{"file_id": "FILE", "renditions": [{"width": 5}], "keep_copyright": 1}', [("/keep_copyright", "bool_type")]),
    (
        '{"file_id": "FILE", "renditions": [{"width": 0}, {"height": "5", "fit": "pad"}]}',
        [
            ("/renditions/0/width", "greater_than_equal"),
            ("/renditions/1/height", "int_type"),
            ("/renditions/1/fit", "side_missing"),
        ],
    ),
]


Errors = list[tuple[str, str]]


def errors_of(answer: Any) -> Errors:
    assert answer.status_code == 422
    return [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


def test_renditions_that_are_wrong(client: TestClient, owner: Owner) -> None:
    json_headers = owner.headers | {"Content-Type": "application/json"}

    def refusals(renditions: Any) -> tuple[Errors, ...]:
        text = json.dumps(renditions)
        body = form(part("renditions", text.encode()), part("file", PNG, "a.png"))
        order = f'{{"file_id": "{FILE_ID}", "renditions": {text}}}'
        job = f'{{"kind": "image.resize", "input": {order}}}'
        by_form = client.post("/v1/images", content=body, headers=owner.headers | FORM)
        by_json = client.post("/v1/images", content=order, headers=json_headers)
        by_job = client.post("/v1/jobs", content=job, headers=json_headers)
        return errors_of(by_form), errors_of(by_json), errors_of(by_job)

    found = [(renditions, *refusals(renditions)) for renditions, _, _ in RENDITIONS]

    assert found == [
        (renditions, [(pointer, code)], [(pointer, code)], [(f"/input{pointer}", code)])
        for renditions, pointer, code in RENDITIONS
    ]


def test_parts_that_are_wrong(
    client: TestClient, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:  # fmt: skip
    def refusal(texts: dict[str, bytes]) -> Errors:
        body = form(part("file", PNG, "a.png"), *(part(name, text) for name, text in texts.items()))
        return errors_of(client.post("/v1/images", content=body, headers=owner.headers | FORM))

    found = [(texts, refusal(texts)) for texts, _, _ in FORMS]

    assert found == [(texts, [(pointer, code)]) for texts, pointer, code in FORMS]
    assert (blobs(settings.storage_dir), count(database, "files"), count(database, "jobs")) == ([], 0, 0)


def test_bodies_that_are_wrong(client: TestClient, owner: Owner, database: psycopg.Connection) -> None:
    headers = owner.headers | {"Content-Type": "application/json"}

    def refusal(text: str) -> Errors:
        return errors_of(client.post("/v1/images", content=text.replace("FILE", FILE_ID), headers=headers))

    assert [(text, refusal(text)) for text, _ in BODIES] == BODIES
    assert count(database, "jobs") == 0
