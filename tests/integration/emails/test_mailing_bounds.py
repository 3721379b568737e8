"""What a mailing may cost before it is accepted: the bytes and values of its body, and what its template makes."""

import json
from typing import Any

import pytest

from api.json_bodies import MOST_JSON_VALUES
from tests.integration.emails.conftest import Post

MAILINGS = "/v1/mailings"
JSON = {"Content-Type": "application/json"}


def ask(post: Post, content: bytes, path: str = MAILINGS) -> Any:
    return post.client.post(path, content=content, headers=post.owner.headers | JSON)


def put_page(post: Post, html: str) -> None:
    source = {"subject": "Hello", "text": None, "html": html}
    answer = post.client.put("/v1/email-templates/page", json=source, headers=post.owner.headers)
    assert answer.status_code == 201, answer.text


def mailing(texts: str, count: int) -> bytes:
    recipients = [{"to": f"a{number}@example.org", "variables": {"name": texts}} for number in range(count)]
    return json.dumps({"template": "page", "recipients": recipients}).encode()


def test_as_much_is_taken_as_is_said_and_no_more(post: Post) -> None:
    put_page(post, "<p>Hello</p>")
    # More than other routes take.
    assert ask(post, mailing("x" * 50_000, 30)).status_code == 202
    answer = ask(post, b" " * (20 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", [MAILINGS, "/v1/emails/batch"])
def test_a_body_of_countless_values_is_not_even_parsed(post: Post, path: str) -> None:
    for value in (b"[]", b"{}", b"0"):
        answer = ask(post, b"[" + b",".join([value] * (MOST_JSON_VALUES + 1)) + b"]", path)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert answer.json()["errors"][0]["code"] == "too_many_values"


def test_a_page_that_cannot_be_finished_is_refused_before_it_is_queued(post: Post) -> None:
    put_page(post, "<style>p { color: red }</style><p {% for n in range(1001) %}a{{ n }} {% endfor %}>Hello</p>")
    answer = ask(post, mailing("Ann", 3))
    assert (answer.status_code, answer.json()["code"]) == (422, "template_too_large")
    assert post.database.execute("SELECT count(*) FROM mailings").fetchone() == (0,)
