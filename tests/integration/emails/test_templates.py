"""Templates: sources under a name of their owner's, shown by previews that a child of the front's renders."""

import json
from collections.abc import Callable
from typing import Any

import psutil
import psycopg
import pytest
from fastapi.testclient import TestClient

from api.email_templates import MOST_TEMPLATES
from shared.settings import Settings
from tests.api_server import running_server
from tests.conftest import Owner

PATH = "/v1/email-templates"
SOURCES = {"subject": "Hello {{ name }}", "text": None, "html": "<p>Hello {{ name }}, {{ user.city }}</p>"}
SLOW = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
Preview = Callable[..., Any]


def put(client: TestClient, owner: Owner, name: str, **sources: Any) -> Any:
    # ASCII: the client's own JSON cannot have lone surrogates.
    body, headers = json.dumps(sources or SOURCES), owner.headers | {"Content-Type": "application/json"}
    return client.put(f"{PATH}/{name}", content=body, headers=headers)


@pytest.fixture
def preview(client: TestClient, owner: Owner) -> Preview:
    def preview(variables: dict[str, Any], **sources: Any) -> Any:
        made = put(client, owner, "shown", **{"subject": "s", "text": "t"} | sources)
        assert made.status_code in {200, 201}, made.text
        return client.post(f"{PATH}/shown/preview", json={"variables": variables}, headers=owner.headers)

    return preview


def test_made_read_replaced_deleted(client: TestClient, owner: Owner) -> None:
    made = put(client, owner, "welcome_1-a")
    path = f"{PATH}/welcome_1-a"
    assert (made.status_code, made.headers["location"]) == (201, path)
    first = made.json()
    assert first["links"] == {"self": path, "preview": f"{path}/preview"}
    assert {part: first[part] for part in SOURCES} == SOURCES
    assert first["variables"] == ["name", "user"]
    assert client.get(path, headers=owner.headers).json() == first

    replaced = put(client, owner, "welcome_1-a", subject="x", text="{{ y }}")
    assert (replaced.status_code, "location" in replaced.headers) == (200, False)
    second = replaced.json()
    assert (second["text"], second["html"], second["variables"]) == ("{{ y }}", None, ["y"])
    assert second["created_at"] == first["created_at"] == first["updated_at"] < second["updated_at"]
    assert client.get(path, headers=owner.headers).json() == second

    assert client.delete(path, headers=owner.headers).status_code == 204
    for method, at in (("GET", path), ("DELETE", path), ("POST", f"{path}/preview")):
        gone = client.request(method, at, headers=owner.headers, json={} if method == "POST" else None)
        assert (gone.status_code, gone.json()["code"]) == (404, "email_template_not_found")


def test_a_name_is_its_owners(client: TestClient, owner: Owner, stranger: Owner) -> None:
    put(client, owner, "web")
    for method, at in (("GET", "web"), ("DELETE", "web"), ("POST", "web/preview")):
        body = {} if method == "POST" else None
        assert client.request(method, f"{PATH}/{at}", headers=stranger.headers, json=body).status_code == 404
        assert client.request(method, f"{PATH}/{at}", json=body).status_code == 401
    assert client.get(PATH, headers=stranger.headers).json() == {"items": [], "next_cursor": None}
    assert put(client, stranger, "web", subject="theirs", text="t").status_code == 201
    assert client.get(f"{PATH}/web", headers=owner.headers).json()["subject"] == SOURCES["subject"]


def test_a_list_is_sorted_by_name_and_without_texts(client: TestClient, owner: Owner) -> None:
    for name in ("b", "a_1", "a-2"):
        put(client, owner, name)
    first = client.get(PATH, params={"limit": 2}, headers=owner.headers).json()
    rest = client.get(PATH, params={"limit": 2, "cursor": first["next_cursor"]}, headers=owner.headers).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a-2", "a_1", "b"]
    assert rest["next_cursor"] is None
    assert "html" not in first["items"][0]


def test_there_is_a_most(client: TestClient, owner: Owner, database: psycopg.Connection[Any]) -> None:
    database.execute(
        "INSERT INTO email_templates (owner_id, name, subject, text)"
        " SELECT %s, 'n' || n, 's', 't' FROM generate_series(1, %s) n",
        (owner.id, MOST_TEMPLATES),
    )
    beyond = put(client, owner, "beyond")
    assert (beyond.status_code, beyond.json()["code"]) == (409, "too_many_email_templates")
    assert put(client, owner, "n1").status_code == 200


@pytest.mark.parametrize(
    ("sources", "code", "pointer"),
    [
        ({"subject": "s"}, "invalid_input", ""),
        ({"subject": "", "text": "t"}, "invalid_input", "/subject"),
        ({"subject": "s", "text": "\0"}, "invalid_input", "/text"),
        ({"subject": "s", "text": "\ud800"}, "invalid_input", "/text"),
        ({"subject": "s", "text": "x" * (256 * 1024 + 1)}, "invalid_input", "/text"),
        ({"subject": "{{ x", "text": "t"}, "template_not_valid", "/subject"),
        ({"subject": "s", "text": "t", "html": "a\n{% if x %}"}, "template_not_valid", "/html"),
        ({"subject": "s", "text": "{% include 'x' %}"}, "template_not_valid", "/text"),
        ({"subject": "s", "text": "{{ x|nothing }}"}, "template_not_valid", "/text"),
        ({"subject": "s", "text": "{{ " + "(" * 50_000 + " }}"}, "template_not_valid", "/text"),
    ],
)
def test_what_is_no_template_is_refused(
    client: TestClient, owner: Owner, sources: dict[str, str], code: str, pointer: str
) -> None:
    answer = put(client, owner, "bad", **sources)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert client.get(f"{PATH}/bad", headers=owner.headers).status_code == 404


def test_a_preview_is_what_a_recipient_would_get(preview: Preview) -> None:
    page = "<html><head><title>T</title><style>b { color: red }</style></head><body><b>{{ n }}</b></body></html>"
    shown = preview({"n": "<Ann> & co"}, subject="Hi {{ n }}", text=None, html=page)
    assert shown.status_code == 200, shown.text
    assert shown.json()["subject"] == "Hi <Ann> & co"
    assert shown.json()["text"].strip() == "<Ann> & co"
    assert '<b style="color: red;">&lt;Ann&gt; &amp; co</b>' in shown.json()["html"]
    plain = preview({"n": "<Ann>"}, subject="{{ n|default('x') }}{{ m|default('y') }}", text="{{ n }}").json()
    assert plain == {"subject": "<Ann>y", "text": "<Ann>", "html": None}


def test_all_that_is_missing_is_named(preview: Preview) -> None:
    answer = preview(
        {"user": {"name": "Ann"}}, subject="{{ a }}", text="{{ user.name }}{{ user.city }}", html="{{ b }}"
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "template_variables_missing")
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert pointers == {"/variables/a", "/variables/user/city", "/variables/b"}
    assert "user.city" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{{ ''.__class__.__mro__ }}", "template_failed"),
        ("{{ 1 // 0 }}", "template_failed"),
        ("{{ 'a' * 10**9 }}", "template_too_large"),
        (SLOW, "template_too_slow"),
    ],
)
def test_what_a_template_may_not_do(preview: Preview, text: str, code: str) -> None:
    answer = preview({}, text=text)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert preview({"x": 1}, text="{{ x }}").json()["text"] == "1"


@pytest.mark.parametrize("variable", ["1\r\nBcc: evil@example.org", "1\n2", "1\u20282", "x" * 999])
def test_a_subject_is_one_line(preview: Preview, variable: str) -> None:
    assert preview({"x": variable}, subject="{{ x }}").status_code == 422


def test_the_renderer_dies_with_a_server_that_is_killed(settings: Settings, owner: Owner) -> None:
    with running_server(settings) as server, server.client() as client:
        assert client.put(f"{PATH}/a", json=SOURCES, headers=owner.headers).status_code == 201
        children = server.memory.children(recursive=True)
        assert children
        server.memory.kill()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert alive == []
