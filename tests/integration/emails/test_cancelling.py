"""Cancelling an e-mail before, while and after it goes; what its recipients are then said to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer


def cancel(post: Post, email: dict[str, Any]) -> Any:
    return post.client.post(email["links"]["cancel"], headers=post.owner.headers)


def test_an_email_that_waits_is_cancelled_at_once(post: Post, mail_server: MailServer) -> None:
    email = post.send(send_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert post.job(email)["state"] == "scheduled"
    for _ in range(2):
        answer = cancel(post, email)
        assert (answer.status_code, answer.json()["counts"]["cancelled"]) == (200, 1)
        assert answer.json()["done"] is True
    assert post.job(email)["state"] == "cancelled"
    assert post.states(email) == {"ann@example.org": "cancelled"}
    assert mail_server.asked == []


def test_cancelling_keeps_what_has_gone(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ben@example.org": ["451 Later"], "cyd@example.org": ["550 No"]}
    email = post.send(to=["ann@example.org", "ben@example.org", "cyd@example.org"])
    assert post.attempt(email) == "retrying"
    assert cancel(post, email).status_code == 200
    assert post.states(email) == {
        "ann@example.org": "sent",
        "ben@example.org": "cancelled",
        "cyd@example.org": "bounced",
    }


def test_a_cancellation_holds_a_message_until_it_is_handed_over(post: Post, mail_server: MailServer) -> None:
    email = post.send()
    answers: list[int] = []
    mail_server.before_rcpt = lambda: answers.append(cancel(post, email).status_code)
    # Whether the attempt heard of the cancellation before it found nothing left to do is not settled.
    assert post.attempt(email) in {"succeeded", "cancelled"}
    assert answers == [200]
    assert mail_server.delivered == []
    assert post.states(email) == {"ann@example.org": "cancelled"}


def test_a_cancellation_after_the_message_has_gone_is_too_late(post: Post) -> None:
    email = post.send()
    assert post.attempt(email) == "succeeded"
    late = cancel(post, email)
    assert (late.status_code, late.json()["code"]) == (409, "illegal_transition")


def test_a_message_that_is_being_taken_goes_on_its_way(post: Post, mail_server: MailServer) -> None:
    email = post.send()
    answers: list[int] = []
    mail_server.before_data_reply = lambda: answers.append(cancel(post, email).status_code)
    assert post.attempt(email) == "succeeded"
    assert answers == [200]
    assert post.states(email) == {"ann@example.org": "sent"}
    again = cancel(post, email)
    assert (again.status_code, again.json()["cancelled_at"] is not None) == (200, True)


def test_an_email_outlives_its_job(post: Post) -> None:
    email = post.send()
    assert post.attempt(email) == "succeeded"
    assert post.client.delete(email["links"]["job"], headers=post.owner.headers).status_code == 204
    seen = post.read(email)
    assert (seen["job_id"], seen["links"]["job"], seen["done"], seen["counts"]["sent"]) == (None, None, True, 1)
    assert cancel(post, email).status_code == 409


def test_who_cancels_while_it_goes_may_repeat_it(post: Post, mail_server: MailServer) -> None:
    email = post.send(to=["ann@example.org", "ben@example.org"])
    mail_server.data_replies = ["451 Later"]
    mail_server.before_data_reply = lambda: cancel(post, email)
    assert post.attempt(email) in {"succeeded", "cancelled"}
    assert set(post.states(email).values()) == {"cancelled"}
    assert [cancel(post, email).status_code for _ in range(2)] == [200, 200]


def test_one_of_a_batch_is_cancelled_alone(post: Post, mail_server: MailServer) -> None:
    first, second = (item["email"] for item in send_two(post)["items"])
    assert first["job_id"] == second["job_id"]
    answer = cancel(post, first)
    assert (answer.status_code, answer.json()["done"]) == (200, True)
    assert post.job(second)["state"] == "queued"
    assert post.attempt(second) == "succeeded"
    assert [delivered.recipients for delivered in mail_server.delivered] == [["ben@example.org"]]


def test_a_job_of_cancelled_emails_is_cancelled(post: Post) -> None:
    emails = [item["email"] for item in send_two(post)["items"]]
    for email in emails:
        assert cancel(post, email).status_code == 200
    assert post.job(emails[0])["state"] == "cancelled"


def test_a_cancelled_job_cancels_its_emails(post: Post) -> None:
    email = post.send()
    post.client.post(f"{email['links']['job']}/cancel", headers=post.owner.headers)
    seen = post.read(email)
    assert (seen["done"], seen["counts"]["cancelled"]) == (True, 1)
    assert cancel(post, email).status_code == 200


def send_two(post: Post) -> dict[str, Any]:
    emails = [{"to": [to], "subject": "Hello", "text": "Hi."} for to in ("ann@example.org", "ben@example.org")]
    return post.client.post("/v1/emails/batch", json=emails, headers=post.owner.headers).json()
