"""What can be asked for, what is refused, and who sees it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from api.email_variables import DEEPEST_VARIABLES, LARGEST_VARIABLES
from tests.conftest import Owner
from tests.integration.emails.conftest import Post, store_file
from tests.integration.emails.mail_server import MailServer

HELLO: dict[str, Any] = {"to": ["ann@example.org"], "subject": "Hello", "text": "Hi."}
ABOUT: dict[str, Any] = {"email_id": None, "mailing_id": None}
JSON = {"Content-Type": "application/json"}
FILE_ID = "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a"
INJECTED = "x\r\nBcc: evil@example.org"


def test_an_email_is_accepted_with_everything_it_needs(post: Post) -> None:
    answer = post.client.post("/v1/emails", json=HELLO | {"tags": ["a"], "priority": 7}, headers=post.owner.headers)
    assert answer.status_code == 202
    email = answer.json()
    assert answer.headers["Location"] == f"/v1/emails/{email['id']}" == email["links"]["self"]
    assert email["message_id"] == f"<{email['id']}@example.com>"
    assert email["from"] == '"Jobyard" <jobyard@example.com>'
    assert email["done"] is False
    assert email["counts"]["queued"] == 1
    assert post.read(email) == email
    job = post.job(email)
    assert (job["kind"], job["queue"], job["state"]) == ("mail.send", "mail", "queued")
    assert (job["input"], job["tags"], job["priority"]) == (ABOUT | {"email_id": email["id"]}, ["a"], 7)


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {}


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"subject": INJECTED}, "/subject"),
    ({"subject": "x\nBcc: evil@example.org"}, "/subject"),
    ({"subject": "x\rBcc: evil@example.org"}, "/subject"),
    ({"subject": "a\0b"}, "/subject"),
    ({"subject": "a\u2028b"}, "/subject"),
    ({"subject": "a\x85b"}, "/subject"),
    ({"subject": "x" * 999}, "/subject"),
    ({"to": [f"{INJECTED}@example.org"]}, "/to/0"),
    ({"to": ["ann@example.org\r\nDATA"]}, "/to/0"),
    ({"to": ["ann@example.org> SIZE=1"]}, "/to/0"),
    ({"to": ["Ann\r\nBcc: <evil@example.org>"]}, "/to/0"),
    ({"to": ['"Ann\r\n" <ann@example.org>']}, "/to/0"),
    ({"to": ["ann@example.org, evil@example.org"]}, "/to/0"),
    ({"to": ["ann"]}, "/to/0"),
    ({"to": ["ann@localhost"]}, "/to/0"),
    ({"to": ["ann@[127.0.0.1]"]}, "/to/0"),
    ({"to": [5]}, "/to/0"),
    ({"to": ["<" * 600]}, "/to/0"),
    ({"to": ["a" * 601]}, "/to/0"),
    ({"cc": ["ben@example.org\n"]}, "/cc/0"),
    ({"bcc": ["ben@exam ple.org"]}, "/bcc/0"),
    ({"reply_to": "Help\r\nX: <help@example.org>"}, "/reply_to"),
    ({"from": "evil@example.org"}, "/from"),
    ({"from": "Jobyard\r\nX: y <jobyard@example.com>"}, "/from"),
    ({"to": []}, "/to"),
    ({"text": None}, ""),
    ({"text": ""}, "/text"),
    ({"text": "a\0b"}, "/text"),
    ({"html": "a\0b"}, "/html"),
    ({"text": "\ud800"}, "/text"),
    ({"html": "a\udfff"}, "/html"),
    ({"subject": None}, "/subject"),
    ({"subject": 5}, "/subject"),
    ({"subject": "\ud800"}, "/subject"),
    ({"to": "ann@example.org"}, "/to"),
    ({"to": {"0": "ann@example.org"}}, "/to"),
    ({"to": [f"a{n}@example.org" for n in range(51)]}, "/to"),
    ({"cc": [f"a{n}@example.org" for n in range(50)]}, ""),
    ({"attachment_ids": ["x"]}, "/attachment_ids/0"),
    ({"tags": ["a b"]}, "/tags/0"),
    ({"tags": ["a\r\nb"]}, "/tags/0"),
    ({"delivery": "exactly_once"}, "/delivery"),
    ({"unsubscribe": "yes"}, "/unsubscribe"),
    ({"unsubscribe": True, "cc": ["ben@example.org"]}, "/unsubscribe"),
    ({"template": "welcome"}, "/subject"),
    ({"template": "../welcome"}, "/template"),
    ({"variables": {}}, "/variables"),
    ({"inline_images": [{"file_id": FILE_ID, "content_id": "a\r\nb"}]}, "/inline_images/0/content_id"),
    ({"inline_images": [{"file_id": FILE_ID, "content_id": "<a>"}]}, "/inline_images/0/content_id"),
    ({"inline_images": [{"file_id": FILE_ID, "content_id": "a" * 129}]}, "/inline_images/0/content_id"),
    ({"inline_images": [{"file_id": "x", "content_id": "a"}]}, "/inline_images/0/file_id"),
    ({"inline_images": [{"file_id": FILE_ID, "content_id": each} for each in "aA"]}, "/inline_images"),
    ({"send_at": "2026-01-01T00:00:00"}, "/send_at"),
    ({"send_at": (datetime.now(UTC) + timedelta(days=400)).isoformat()}, "/send_at"),
    ({"surprise": 1}, "/surprise"),
    ({"sender": "jobyard@example.com"}, "/sender"),
]  # fmt: skip


def test_malformed_emails_are_refused_by_the_field(post: Post) -> None:
    for wrong, pointer in MALFORMED:
        answer = post.client.post("/v1/emails", content=json.dumps(HELLO | wrong), headers=post.owner.headers | JSON)
        assert answer.status_code == 422, wrong
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert pointer in [error["pointer"] for error in answer.json()["errors"]], wrong
    assert post.database.execute("SELECT count(*) FROM emails").fetchone() == (0,)


BOUNDED: list[tuple[Any, str]] = [
    ({"a": "x" * LARGEST_VARIABLES}, "variables_too_large"),
    ({"a": [0] * LARGEST_VARIABLES}, "variables_too_large"),
    (nested(DEEPEST_VARIABLES + 1), "variables_too_deep"),
    (nested(900), "variables_too_deep"),
    ({"a": ["\0"]}, "unstorable_text"),
    ({"\ud800": 1}, "unstorable_text"),
    ({"a": float("nan")}, "finite_number"),
    ({"a": -float("inf")}, "finite_number"),
    ([1], "dict_type"),
]


def test_variables_are_bounded(post: Post) -> None:
    for variables, code in BOUNDED:
        body = {"to": ["ann@example.org"], "template": "welcome", "variables": variables}
        answer = post.client.post("/v1/emails", content=json.dumps(body), headers=post.owner.headers | JSON)
        assert answer.status_code == 422, code
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [("/variables", code)]


def test_a_lone_surrogate_is_refused(post: Post) -> None:
    body = b'{"to": ["ann@example.org"], "subject": "\\ud800", "text": "Hi."}'
    headers = post.owner.headers | {"Content-Type": "application/json"}
    assert post.client.post("/v1/emails", content=body, headers=headers).status_code == 422


def test_recipients_are_merged(post: Post, mail_server: MailServer) -> None:
    email = post.send(
        to=["Ann <ann@example.org>", "ANN@EXAMPLE.ORG"],
        cc=["ann@example.org", "ben@BÜCHER.example"],
        bcc=["ben@bücher.example", "cyd@example.org"],
    )
    assert [(r["address"], r["role"], r["name"]) for r in email["recipients"]] == [
        ("ann@example.org", "to", "Ann"),
        ("ben@bücher.example", "cc", None),
        ("cyd@example.org", "bcc", None),
    ]
    assert post.attempt(email) == "succeeded"
    assert mail_server.asked == ["ann@example.org", "ben@xn--bcher-kva.example", "cyd@example.org"]


def test_a_time_that_has_passed_means_at_once(post: Post) -> None:
    for moment in ("2001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        email = post.send(send_at=moment)
        assert (email["send_at"], post.job(email)["state"]) == (None, "queued")


def test_a_planned_email_is_dated_when_it_is_due(post: Post, mail_server: MailServer) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    email = post.send(send_at=due.isoformat())
    assert post.job(email)["state"] == "scheduled"
    assert datetime.fromisoformat(email["send_at"]) == due
    assert post.attempt(email) == "succeeded"
    assert mail_server.delivered[0].message["Date"].datetime == due


def test_another_owners_attachment_is_not_found(post: Post, stranger: Owner) -> None:
    theirs = store_file(post.database, post.settings, stranger.id, "a.txt", "text/plain", b"secret")
    answer = post.client.post("/v1/emails", json=HELLO | {"attachment_ids": [str(theirs)]}, headers=post.owner.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
    assert answer.json()["errors"][0]["pointer"] == "/attachment_ids/0"
    assert post.database.execute("SELECT (SELECT count(*) FROM emails), (SELECT count(*) FROM jobs)").fetchone() == (
        0,
        0,
    )


def test_an_attachment_is_kept_while_its_email_waits_and_counted_once(post: Post) -> None:
    file_id = post.store("a.txt", "text/plain", b"a")
    email = post.send(attachment_ids=[str(file_id), str(file_id)])
    assert email["attachment_ids"] == [str(file_id)]
    linked = post.database.execute("SELECT job_id, file_id FROM job_files").fetchall()
    assert [(str(job_id), kept) for job_id, kept in linked] == [(email["job_id"], file_id)]


def test_emails_are_their_owners_alone(post: Post, stranger: Owner) -> None:
    email = post.send()
    path = email["links"]["self"]
    for answer in (
        post.client.get(path, headers=stranger.headers),
        post.client.post(f"{path}/cancel", headers=stranger.headers),
        post.client.patch(path, json={"send_at": None}, headers=stranger.headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "email_not_found")
    assert post.client.get("/v1/emails", headers=stranger.headers).json() == {"items": [], "next_cursor": None}
    for path_or_list in (path, "/v1/emails"):
        assert post.client.get(path_or_list).status_code == 401
    assert post.client.post("/v1/emails", json=HELLO).status_code == 401
    assert post.states(email) == {"ann@example.org": "queued"}


def test_mail_jobs_cannot_be_asked_for_directly(post: Post) -> None:
    body = {"kind": "mail.send", "input": {"email_id": post.send()["id"]}}
    assert post.client.post("/v1/jobs", json=body, headers=post.owner.headers).status_code == 422
