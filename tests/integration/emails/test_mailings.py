"""Mailings: one template for many recipients, accepted whole or not at all."""

from threading import Barrier, Thread
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer
from tests.integration.emails.mailings import (
    JSON,
    MAILINGS,
    Line,
    ask,
    body,
    cancel,
    count,
    counted,
    emails,
    job_ids,
    put_template,
    read,
    recipients,
    send,
)


@pytest.fixture(autouse=True)
def template(post: Post) -> None:
    put_template(post, post.owner)


def test_each_recipient_gets_a_message_of_their_own(post: Post, mail_server: MailServer) -> None:
    everyone = [
        *recipients(100),
        {"to": "Ann Example <ann@example.org>", "variables": {"name": "Ann & Co", "ends": "June"}},
    ]
    answer = ask(post, body(recipients=everyone, reply_to="help@example.com", tags=["sale"], headers={"X-A": "b"}))
    mailing = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, mailing["links"]["self"])
    assert (mailing["recipients"], counted(mailing), mailing["done"]) == (101, {"queued": 101}, False)
    assert mailing["subject"] == "Hello {{ name }}"
    assert read(post, mailing) == mailing

    # What it says is what its template said then.
    put_template(post, post.owner, subject="Changed", text="Changed", html=None)
    post.client.delete("/v1/email-templates/sale", headers=post.owner.headers)
    jobs = job_ids(post, mailing)
    line = Line(post)
    assert [line.run(job_id) for job_id in jobs] == ["succeeded"] * 2
    assert [post.job(email)["input"]["mailing_id"] for email in emails(post, mailing)[:1]] == [mailing["id"]]
    got = {each.recipients[0]: each.message for each in mail_server.delivered}
    assert (len(got), len({message["Message-ID"] for message in got.values()})) == (101, 101)
    message = got["ann@example.org"]
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert (message["To"], message["Subject"]) == ("Ann Example <ann@example.org>", "Hello Ann & Co")
    assert (message["Reply-To"], message["X-A"]) == ("help@example.com", "b")
    assert text.get_content().strip() == "Ann & Co, until June."
    assert '<p style="color: red;">Ann &amp; Co, until June.</p>' in page.get_content()
    assert got["a7@example.org"]["Subject"] == "Hello A7"
    assert "/v1/unsubscribe/" in message["List-Unsubscribe"]
    assert message["List-Unsubscribe"] != got["a7@example.org"]["List-Unsubscribe"]
    seen = read(post, mailing)
    assert (counted(seen), seen["done"]) == ({"sent": 101}, True)
    assert cancel(post, mailing).status_code == 409


def test_emails_of_a_mailing_are_shown_as_others_are(post: Post) -> None:
    post.database.execute(
        "INSERT INTO suppressions (owner_id, address_key, address, reason) VALUES (%s, %s, %s, 'manual')",
        (post.owner.id, "a1@example.org", "a1@example.org"),
    )
    first, second = send(post, 3, unsubscribe=False, priority=7), send(post, 1)
    assert counted(first) == {"queued": 2, "suppressed": 1}
    assert counted(read(post, first)) == {"queued": 2, "suppressed": 1}
    shown = emails(post, first)
    assert [email["recipients"][0]["address"] for email in shown] == [f"a{n}@example.org" for n in (2, 1, 0)]
    assert [email["subject"] for email in shown] == ["Hello A2", "Hello A1", "Hello A0"]
    assert {(email["mailing_id"], email["template"], email["unsubscribe_url"]) for email in shown} == {
        (first["id"], "sale", None)
    }
    assert post.job(shown[0])["priority"] == 7

    listed = post.client.get(f"{MAILINGS}?limit=1", headers=post.owner.headers).json()
    assert listed["items"] == [second]
    rest = post.client.get(f"{MAILINGS}?cursor={listed['next_cursor']}", headers=post.owner.headers).json()
    assert (rest["items"], rest["next_cursor"]) == ([first], None)


def test_others_see_nothing_of_it(post: Post, stranger: Owner) -> None:
    put_template(post, stranger, "theirs")
    for name in ("theirs", "absent"):
        answer = ask(post, body(template=name))
        assert (answer.status_code, answer.json()["code"]) == (404, "email_template_not_found")
        assert answer.json()["errors"][0]["pointer"] == "/template"
    mailing = send(post)
    assert post.client.get(mailing["links"]["self"], headers=stranger.headers).status_code == 404
    assert post.client.post(mailing["links"]["cancel"], headers=stranger.headers).status_code == 404
    assert post.client.get(MAILINGS, headers=stranger.headers).json()["items"] == []
    assert counted(read(post, mailing)) == {"queued": 2}


WRONG: list[tuple[dict[str, Any], str, set[str]]] = [
    ({"recipients": []}, "invalid_input", {"/recipients"}),
    ({"recipients": {}}, "invalid_input", {"/recipients"}),
    ({"recipients": recipients(10_001)}, "invalid_input", {"/recipients"}),
    ({"recipients": [*recipients(2), 5, {"to": "x"}]}, "invalid_input", {"/recipients/2", "/recipients/3/to"}),
    (
        {"recipients": [{"to": "a@example.org", "variables": [1]}, {"to": "b@example.org", "variable": {}}]},
        "invalid_input",
        {"/recipients/0/variables", "/recipients/1/variable"},
    ),
    ({"recipients": [{"to": "a@example.org", "variables": {"a": "\0"}}]}, "invalid_input", {"/recipients/0/variables"}),
    ({"variables": {"a": "x" * 70_000}}, "invalid_input", {"/variables"}),
    ({"template": "../x"}, "invalid_input", {"/template"}),
    ({"headers": {"List-Unsubscribe": "<mailto:a@example.org>"}}, "invalid_input", {"/headers/List-Unsubscribe"}),
    ({"from": "evil@example.org"}, "sender_not_allowed", {"/from"}),
    (
        {"recipients": [*recipients(2), {"to": "A <A1@Example.org>"}, *recipients(1)]},
        "recipient_given_twice",
        {"/recipients/2/to", "/recipients/3/to"},
    ),
    (
        {"variables": {}, "recipients": [{"to": "a@example.org", "variables": {"ends": 1}}, *recipients(1)]},
        "template_variables_missing",
        {"/recipients/0/variables/name", "/recipients/1/variables/ends"},
    ),
]


def test_what_is_wrong_is_named_and_nothing_is_accepted(post: Post) -> None:
    for more, code, pointers in WRONG:
        answer = ask(post, body(**more))
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text[:500]
        assert {error["pointer"] for error in answer.json()["errors"]} == pointers
    for content in (b"", b"[]", b"{", b"null", b'{"recipients":["\\ud800"]}', b"[" * 100_000):
        answer = post.client.post(MAILINGS, content=content, headers=post.owner.headers | JSON)
        assert answer.status_code == 422, content
    assert post.client.post(MAILINGS, content=b"{}", headers=post.owner.headers).status_code == 415
    assert post.client.post(MAILINGS, content=b"{}", headers=JSON).status_code == 401
    assert [count(post, table) for table in ("mailings", "emails", "jobs")] == [0, 0, 0]


def test_so_many_lack_a_variable(post: Post) -> None:
    lacking = [{"to": f"b{number}@example.org"} for number in range(300)]
    answer = ask(post, body(recipients=[*recipients(3), *lacking])).json()
    assert answer["code"] == "template_variables_missing"
    assert "name" in answer["detail"]
    assert "300 of 303 recipients" in answer["detail"]
    assert [error["pointer"] for error in answer["errors"]] == [f"/recipients/{n}/variables/name" for n in range(3, 23)]


def test_a_repeated_request_makes_one_mailing(post: Post) -> None:
    key = {"Idempotency-Key": "sale-1"}
    first = ask(post, body(150), **key)
    post.client.delete("/v1/email-templates/sale", headers=post.owner.headers)
    again = ask(post, dict(reversed(body(150).items())), **key)
    assert (again.status_code, again.content, again.headers["idempotency-replayed"]) == (202, first.content, "true")
    assert again.headers["location"] == first.headers["location"]
    other = ask(post, body(149), **key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert [count(post, table) for table in ("mailings", "emails", "jobs")] == [1, 150, 2]


def test_rivals_with_one_key_make_one_mailing(post: Post) -> None:
    at_once, answers = Barrier(3), list[Any]()

    def rival() -> None:
        at_once.wait()
        answers.append(ask(post, body(120), **{"Idempotency-Key": "sale-2"}))

    threads = [Thread(target=rival) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert [count(post, table) for table in ("mailings", "emails", "jobs")] == [1, 120, 2]


def test_the_document_describes_the_body(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    described = schemas["MailingBody"]["properties"]
    assert described["recipients"]["items"] == {"$ref": "#/components/schemas/MailingRecipient"}
    assert described["recipients"]["maxItems"] == 10_000
    assert {"to", "variables"} <= set(schemas["MailingRecipient"]["properties"])
