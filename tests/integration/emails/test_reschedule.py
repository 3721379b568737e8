"""Giving an e-mail another time: before it was tried, alone or out of a batch, and not afterwards."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import Owner
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer


def in_hours(hours: int) -> str:
    return (datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours)).isoformat()


def change(post: Post, email: dict[str, Any], **body: Any) -> Any:
    return post.client.patch(email["links"]["self"], json=body, headers=post.owner.headers)


def test_an_email_goes_at_another_time_by_another_job(post: Post, mail_server: MailServer) -> None:
    file_id = post.store("a.txt", "text/plain", b"a")
    email = post.send(tags=["a"], priority=7, attachment_ids=[str(file_id)])
    later = in_hours(3)
    answer = change(post, email, send_at=later)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert datetime.fromisoformat(changed["send_at"]) == datetime.fromisoformat(later)
    assert changed["job_id"] != email["job_id"]
    assert changed == post.read(email)
    assert post.job(email)["state"] == "cancelled"
    job = post.job(changed)
    assert (job["state"], job["tags"], job["priority"]) == ("scheduled", ["a"], 7)
    assert job["input"] == {"email_id": email["id"], "mailing_id": None}
    assert post.states(email) == {"ann@example.org": "queued"}
    kept = post.client.delete(f"/v1/files/{file_id}", headers=post.owner.headers)
    assert (kept.status_code, kept.json()["code"]) == (409, "file_in_use")
    assert post.attempt(changed) == "succeeded"
    assert mail_server.delivered[0].message["Date"].datetime == datetime.fromisoformat(later)


def test_an_email_goes_at_once_instead(post: Post, mail_server: MailServer) -> None:
    for moment in (None, "2001-01-01T00:00:00Z"):
        email = post.send(send_at=in_hours(300))
        before = datetime.now(UTC) - timedelta(minutes=1)
        changed = change(post, email, send_at=moment).json()
        # How long it is tried, and its date, begin now, though it was asked for long ago.
        assert datetime.fromisoformat(changed["send_at"]) > before
        assert post.job(changed)["state"] == "queued"
        assert post.attempt(changed) == "succeeded"
    assert len(mail_server.delivered) == 2


def test_one_leaves_a_batch(post: Post, mail_server: MailServer) -> None:
    asked = [{"to": [to], "subject": "Hello", "text": "Hi."} for to in ("ann@example.org", "ben@example.org")]
    items = post.client.post("/v1/emails/batch", json=asked, headers=post.owner.headers).json()["items"]
    first, second = (item["email"] for item in items)
    changed = change(post, first, send_at=in_hours(3)).json()
    assert post.read(second)["job_id"] == second["job_id"]
    assert post.attempt(second) == "succeeded"
    assert [delivered.recipients for delivered in mail_server.delivered] == [["ben@example.org"]]
    assert post.states(first) == {"ann@example.org": "queued"}
    assert post.attempt(changed) == "succeeded"
    assert post.states(first) == {"ann@example.org": "sent"}


def test_an_email_changes_its_time_while_its_job_is_at_it(post: Post, mail_server: MailServer) -> None:
    email = post.send()
    answers: list[int] = []
    mail_server.before_rcpt = lambda: answers.append(change(post, email, send_at=in_hours(3)).status_code)
    assert post.attempt(email) in {"succeeded", "cancelled"}
    assert (answers, mail_server.delivered) == ([200], [])
    assert post.states(email) == {"ann@example.org": "queued"}


def test_what_was_tried_cancelled_or_suppressed_keeps_its_time(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ben@example.org": ["451 Later"]}
    sent = post.send()
    assert post.attempt(sent) == "succeeded"
    deferred = post.send(to=["ben@example.org"])
    assert post.attempt(deferred) == "retrying"
    cancelled = post.send()
    post.client.post(cancelled["links"]["cancel"], headers=post.owner.headers)
    post.database.execute(
        "INSERT INTO suppressions (owner_id, address_key, address, reason) VALUES (%s, %s, %s, 'manual')",
        (post.owner.id, "cyd@example.org", "cyd@example.org"),
    )
    suppressed = post.send(to=["cyd@example.org"])
    for email in (sent, deferred, cancelled, suppressed):
        before = post.read(email)
        answer = change(post, email, send_at=in_hours(3))
        assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
        assert post.read(email) == before


def test_malformed_changes_are_refused(post: Post, stranger: Owner) -> None:
    email = post.send(send_at=in_hours(3))
    before = post.read(email)
    for body, pointer in (
        ({}, "/send_at"),
        ({"send_at": "tomorrow"}, "/send_at"),
        ({"send_at": 5}, "/send_at"),
        ({"send_at": "2026-01-01T00:00:00"}, "/send_at"),
        ({"send_at": in_hours(24 * 400)}, "/send_at"),
        ({"send_at": None, "subject": "x"}, "/subject"),
    ):
        answer = change(post, email, **body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    theirs = post.client.patch(email["links"]["self"], json={"send_at": None}, headers=stranger.headers)
    assert (theirs.status_code, theirs.json()["code"]) == (404, "email_not_found")
    assert post.read(email) == before
