"""Mailings: one template for many recipients, accepted whole or not at all."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any
from uuid import UUID

import pytest
from celery.exceptions import Ignore
from celery.exceptions import Retry as CeleryRetry
from fastapi.testclient import TestClient
from psycopg import sql

from tests.conftest import Owner
from tests.factories import dispatch, enqueue, new_job, read_state, run_job
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer
from worker.runner import JobFailed

MAILINGS = "/v1/mailings"
JSON = {"Content-Type": "application/json"}
SOURCE = {
    "subject": "Hello {{ name }}",
    "text": "{{ name }}, until {{ ends }}.",
    "html": "<style>p { color: red }</style><p>{{ name }}, until {{ ends }}.</p>",
}


@pytest.fixture(autouse=True)
def template(post: Post) -> None:
    put_template(post, post.owner)


def put_template(post: Post, owner: Owner, name: str = "sale", **source: str | None) -> None:
    answer = post.client.put(f"/v1/email-templates/{name}", json=SOURCE | source, headers=owner.headers)
    assert answer.status_code in {200, 201}, answer.text


def recipients(count: int) -> list[dict[str, Any]]:
    return [{"to": f"a{number}@example.org", "variables": {"name": f"A{number}"}} for number in range(count)]


def body(count: int = 2, **more: Any) -> dict[str, Any]:
    return {"template": "sale", "variables": {"ends": "May"}, "recipients": recipients(count)} | more


def ask(post: Post, given: Any, **headers: str) -> Any:
    return post.client.post(MAILINGS, content=json.dumps(given), headers=post.owner.headers | JSON | headers)


def send(post: Post, count: int = 2, **more: Any) -> dict[str, Any]:
    answer = ask(post, body(count, **more))
    assert answer.status_code == 202, answer.text
    return answer.json()


def read(post: Post, mailing: dict[str, Any]) -> dict[str, Any]:
    answer = post.client.get(mailing["links"]["self"], headers=post.owner.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def cancel(post: Post, mailing: dict[str, Any]) -> Any:
    return post.client.post(mailing["links"]["cancel"], headers=post.owner.headers)


def job_ids(post: Post, mailing: dict[str, Any]) -> list[UUID]:
    rows = post.database.execute(
        "SELECT DISTINCT job_id FROM emails WHERE mailing_id = %s ORDER BY 1", (mailing["id"],)
    )
    return [row[0] for row in rows]


class Line:
    """Runs the jobs of mailings, which are all dispatched together, one after the other."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._marks = dispatch(post.database, "mail", kinds=[post.kind])

    def run(self, job_id: UUID) -> str:
        with suppress(CeleryRetry, Ignore, JobFailed):
            self._post.runner.run(self._post.kind, str(job_id), self._marks[job_id])
        return read_state(self._post.database, job_id)


def count(post: Post, table: str) -> int:
    found = post.database.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found is not None
    return found[0]


def counted(mailing: dict[str, Any]) -> dict[str, int]:
    return {state: number for state, number in mailing["counts"].items() if number}


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


def emails(post: Post, mailing: dict[str, Any]) -> list[dict[str, Any]]:
    return post.client.get(mailing["links"]["emails"], headers=post.owner.headers).json()["items"]


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


def test_cancelling_halfway_keeps_what_has_gone(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"a5@example.org": ["451 Later"]}
    mailing = send(post, 250)
    first, second, third = job_ids(post, mailing)
    line = Line(post)
    assert line.run(first) == "retrying"
    answers: list[Any] = []
    # While the second job hands a message over; the third one has not begun.
    mail_server.before_data_reply = once(lambda: answers.append(cancel(post, mailing)))
    assert line.run(second) in {"succeeded", "cancelled"}
    assert [answer.status_code for answer in answers] == [200]
    seen = read(post, mailing)
    assert seen["done"] is True
    assert seen["cancelled_at"] is not None
    assert set(counted(seen)) == {"sent", "cancelled"}
    assert seen["counts"]["sent"] == len(mail_server.delivered)
    assert 99 < seen["counts"]["sent"] < 150
    states = dict(post.database.execute("SELECT id, state FROM jobs WHERE id = ANY(%s)", ([first, third],)).fetchall())
    assert states == {first: "cancelled", third: "cancelled"}
    again = cancel(post, mailing)
    assert (again.status_code, again.json()) == (200, seen)


def once(call: Callable[[], Any]) -> Callable[[], None]:
    calls = [call]
    return lambda: calls.pop()() if calls else None


def test_cancelling_finds_those_that_were_given_another_time(post: Post) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    mailing = send(post, 3, send_at=later)
    [email, *_] = emails(post, mailing)
    moved = post.client.patch(email["links"]["self"], json={"send_at": later}, headers=post.owner.headers)
    assert moved.status_code == 200
    assert len(job_ids(post, mailing)) == 2
    assert counted(cancel(post, mailing).json()) == {"cancelled": 3}
    assert post.database.execute("SELECT DISTINCT state FROM jobs").fetchall() == [("cancelled",)]


def test_one_email_is_cancelled_alone(post: Post, mail_server: MailServer) -> None:
    mailing = send(post, 2)
    [email, _] = emails(post, mailing)
    assert post.client.post(email["links"]["cancel"], headers=post.owner.headers).status_code == 200
    [job_id] = job_ids(post, mailing)
    assert run_job(post.runner, post.database, post.kind, job_id) == "succeeded"
    assert counted(read(post, mailing)) == {"sent": 1, "cancelled": 1}
    assert len(mail_server.delivered) == 1


def purge(post: Post, kinds: dict[str, Any]) -> None:
    kind = kinds["jobs.purge"]
    job_id = enqueue(post.database, new_job(kind, post.owner.id, {"older_than_days": 1, "batch_size": 1}))
    assert run_job(post.runner, post.database, kind, job_id) == "succeeded"


def test_a_mailing_is_purged_with_the_last_of_its_emails(post: Post, kinds: dict[str, Any]) -> None:
    mailing, other = send(post, 150), send(post, 1)
    line = Line(post)
    for job_id in [*job_ids(post, mailing), *job_ids(post, other)]:
        assert line.run(job_id) == "succeeded"
    for job_id, left in zip(job_ids(post, mailing), (50, 0), strict=True):
        post.database.execute("UPDATE jobs SET finished_at = now() - interval '2 days' WHERE id = %s", (job_id,))
        purge(post, kinds)
        status = post.client.get(mailing["links"]["self"], headers=post.owner.headers).status_code
        assert status == (200 if left else 404)
        assert count(post, "emails") == left + 1
    # Who deletes a job by hand keeps its e-mails, and so the mailing.
    [email] = emails(post, other)
    assert post.client.delete(email["links"]["job"], headers=post.owner.headers).status_code == 204
    purge(post, kinds)
    assert counted(read(post, other)) == {"sent": 1}


def test_the_document_describes_the_body(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    described = schemas["MailingBody"]["properties"]
    assert described["recipients"]["items"] == {"$ref": "#/components/schemas/MailingRecipient"}
    assert described["recipients"]["maxItems"] == 10_000
    assert {"to", "variables"} <= set(schemas["MailingRecipient"]["properties"])
