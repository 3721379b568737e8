"""Many e-mails in one request: each accepted or refused by itself, all in one transaction."""

import json
from typing import Any

from psycopg import sql

from tests.conftest import Owner
from tests.integration.emails.conftest import Post, store_file
from tests.integration.emails.mail_server import MailServer

BATCH = "/v1/emails/batch"
JSON = {"Content-Type": "application/json"}


def hello(to: str, **body: Any) -> dict[str, Any]:
    return {"to": [to], "subject": "Hello", "text": "Hi."} | body


def send(post: Post, emails: Any, **headers: str) -> Any:
    return post.client.post(BATCH, content=json.dumps(emails), headers=post.owner.headers | JSON | headers)


def count(post: Post, table: str) -> int:
    found = post.database.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found is not None
    return found[0]


def test_emails_of_a_batch_share_jobs_with_their_like(post: Post, mail_server: MailServer) -> None:
    batch = send(
        post,
        [hello(f"a{n}@example.org") for n in range(51)]
        + [hello("b@example.org", priority=5), hello("c@example.org", tags=["c"])],
    ).json()
    emails = [item["email"] for item in batch["items"]]
    assert (batch["failed"], [item["index"] for item in batch["items"]]) == (0, list(range(53)))
    assert [email["recipients"][0]["address"] for email in emails[:51]] == [f"a{n}@example.org" for n in range(51)]
    jobs = [email["job_id"] for email in emails]
    assert (len(set(jobs)), len(set(jobs[:50]))) == (4, 1)
    assert [email["id"] for email in emails] == sorted(email["id"] for email in emails)
    assert emails[7] == post.read(emails[7])
    assert post.job(emails[0])["input"] == {"email_id": None, "mailing_id": None}
    assert post.job(emails[51])["input"] == {"email_id": emails[51]["id"], "mailing_id": None}
    assert (post.job(emails[51])["priority"], post.job(emails[52])["tags"]) == (5, ["c"])
    assert post.attempt(emails[0]) == "succeeded"
    assert {each.recipients[0] for each in mail_server.delivered} == {f"a{n}@example.org" for n in range(50)}
    assert len({each.message["Message-ID"] for each in mail_server.delivered}) == 50


def test_what_is_wrong_is_refused_alone(post: Post, stranger: Owner) -> None:
    theirs = str(store_file(post.database, post.settings, stranger.id, "a.txt", "text/plain", b"secret"))
    mine = str(post.store("a.txt", "text/plain", b"a"))
    wrong: list[tuple[Any, int, str, str]] = [
        (5, 422, "invalid_input", ""),
        (None, 422, "invalid_input", ""),
        ([], 422, "invalid_input", ""),
        ({}, 422, "invalid_input", "/to"),
        (hello("ann"), 422, "invalid_input", "/to/0"),
        (hello("a@example.org", subject="x\r\nBcc: evil@example.org"), 422, "invalid_input", "/subject"),
        (hello("a@example.org", subject="\ud800"), 422, "invalid_input", "/subject"),
        (hello("a@example.org", text="\ud800"), 422, "invalid_input", "/text"),
        (hello("a@example.org", **{"\ud800": 1}), 422, "invalid_input", ""),
        (hello("a@example.org", html="a\0"), 422, "invalid_input", "/html"),
        (hello("a@example.org", headers={"Bcc": "x"}), 422, "invalid_input", "/headers/Bcc"),
        (hello("a@example.org", tags=["a"] * 21), 422, "invalid_input", "/tags"),
        (hello("a@example.org", priority=10**30), 422, "invalid_input", "/priority"),
        (hello("a@example.org", **{"from": "evil@example.org"}), 422, "sender_not_allowed", "/from"),
        (hello("a@example.org", attachment_ids=[mine, theirs]), 404, "file_not_found", "/attachment_ids/1"),
        ({"to": ["a@example.org"], "template": "absent"}, 404, "email_template_not_found", "/template"),
    ]
    answer = send(post, [each[0] for each in wrong] + [hello("ann@example.org", attachment_ids=[mine])])
    assert answer.status_code == 202, answer.text
    batch = answer.json()
    assert batch["failed"] == len(wrong)
    for index, (item, (body, status, code, pointer)) in enumerate(zip(batch["items"], wrong, strict=False)):
        assert (item["index"], item["email"]) == (index, None)
        assert (item["error"]["status"], item["error"]["code"]) == (status, code), body
        assert f"/{index}{pointer}" in [error["pointer"] for error in item["error"]["errors"]], item
    assert post.states(batch["items"][-1]["email"]) == {"ann@example.org": "queued"}
    assert (count(post, "emails"), count(post, "jobs"), count(post, "job_files")) == (1, 1, 1)


def test_a_batch_of_which_nothing_is_accepted_is_refused(post: Post) -> None:
    answer = send(post, [hello("ann"), hello("a@example.org", **{"from": "evil@example.org"})])
    assert (answer.status_code, answer.json()["code"]) == (422, "nothing_accepted")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/0/to/0", "/1/from"]
    assert (count(post, "emails"), count(post, "jobs")) == (0, 0)


def test_a_batch_is_a_short_array(post: Post) -> None:
    for body in (
        [], {}, {"emails": [hello("a@example.org")]}, "x", None, 5, [hello("a@example.org")] * 1001,
    ):  # fmt: skip
        answer = send(post, body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "")
    for raw in (b"", b"[", b"\xff[]", b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b"[" + b"9" * 5000 + b"]"):
        answer = post.client.post(BATCH, content=raw, headers=post.owner.headers | JSON)
        assert answer.status_code == 422, raw[:20]
    large = [hello("a@example.org", text="x" * 11 * 1024 * 1024)]
    assert (send(post, large).status_code, send(post, large).json()["code"]) == (413, "body_too_large")
    assert send(post, [hello("a@example.org")], **{"Content-Type": "text/plain"}).status_code == 415
    assert post.client.post(BATCH, json=[hello("a@example.org")]).status_code == 401
    assert count(post, "emails") == 0


def test_a_thousand_emails_are_one_request(post: Post) -> None:
    answer = send(post, [hello(f"a{n}@example.org", text="x" * 5000) for n in range(1000)])
    assert (answer.status_code, answer.json()["failed"], len(answer.json()["items"])) == (202, 0, 1000)
    assert (count(post, "emails"), count(post, "recipients"), count(post, "jobs")) == (1000, 1000, 20)


def test_a_batch_is_sent_once_under_its_key(post: Post) -> None:
    emails = [hello("ann@example.org"), hello("ben")]
    first, second = (send(post, emails, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["Idempotency-Replayed"] == "true"
    assert send(post, emails[:1], **{"Idempotency-Key": "k"}).json()["code"] == "idempotency_key_reused"
    refused = [send(post, [hello("ben")], **{"Idempotency-Key": "l"}) for _ in range(2)]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(422, "nothing_accepted")] * 2
    assert count(post, "emails") == 1
