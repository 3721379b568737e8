"""Cancelling an e-mail before, while and after it goes; what its recipients are then said to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.email_shapes import RECIPIENT_STATES, shown_state
from shared.job_state import TERMINAL, JobState
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
    assert post.attempt(email) == "cancelled"
    assert answers == [200]
    assert mail_server.delivered == []
    assert post.states(email) == {"ann@example.org": "cancelled"}


def test_a_cancellation_after_the_message_is_too_late(post: Post, mail_server: MailServer) -> None:
    email = post.send()
    answers: list[int] = []
    mail_server.before_data_reply = lambda: answers.append(cancel(post, email).status_code)
    assert post.attempt(email) == "succeeded"
    assert answers == [200]
    assert post.states(email) == {"ann@example.org": "sent"}
    late = cancel(post, email)
    assert (late.status_code, late.json()["code"]) == (409, "illegal_transition")


def test_an_email_outlives_its_job(post: Post) -> None:
    email = post.send()
    assert post.attempt(email) == "succeeded"
    assert post.client.delete(email["links"]["job"], headers=post.owner.headers).status_code == 204
    seen = post.read(email)
    assert (seen["job_id"], seen["links"]["job"], seen["done"], seen["counts"]["sent"]) == (None, None, True, 1)
    assert cancel(post, email).status_code == 409


@pytest.mark.parametrize("stored", ["queued", "sending", "deferred", "sent", "bounced", "cancelled"])
@pytest.mark.parametrize("job_state", [*JobState, None])
def test_recipients_of_a_job_that_is_done_await_nothing(stored: str, job_state: JobState | None) -> None:
    shown = shown_state(stored, job_state)
    assert shown in RECIPIENT_STATES
    if job_state is not None and job_state not in TERMINAL:
        assert shown == stored
    else:
        assert shown not in {"queued", "sending", "deferred"}
    assert (shown == stored) or stored not in {"sent", "bounced", "cancelled"}


@pytest.mark.parametrize(
    ("stored", "shown"), [("queued", "cancelled"), ("deferred", "cancelled"), ("sending", "failed"), ("sent", "sent")]
)
def test_what_may_have_gone_is_never_called_cancelled(stored: str, shown: str) -> None:
    assert shown_state(stored, JobState.CANCELLED) == shown
