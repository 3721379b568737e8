"""What is certain of a message and what is not, when a connection, an attempt or PostgreSQL breaks off on the way."""

import logging

import pytest

from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import DROP, STALL, MailServer

THREE = ["ann@example.org", "ben@example.org", "cyd@example.org"]


@pytest.mark.parametrize("mishap", [DROP, STALL])
@pytest.mark.parametrize(
    ("delivery", "job_state", "state"),
    [("at_least_once", "retrying", "deferred"), ("at_most_once", "failed", "uncertain")],
)
def test_a_break_after_the_message_leaves_a_doubt(
    post: Post, mail_server: MailServer, mishap: str, delivery: str, job_state: str, state: str
) -> None:
    mail_server.data_replies = [mishap]
    email = post.send(delivery=delivery)
    assert post.attempt(email) == job_state
    assert post.states(email) == {"ann@example.org": state}
    assert "may have arrived" in post.read(email)["recipients"][0]["reply_text"]
    if delivery == "at_least_once":
        assert post.attempt(email) == "succeeded"
        first, second = mail_server.delivered
        assert first.content == second.content
    assert [len(arrived.recipients) for arrived in mail_server.delivered] == [1] * len(mail_server.delivered)


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("mishap", [DROP, STALL, "421 Shutting down"])
def test_a_break_before_the_message_is_no_doubt(
    post: Post, mail_server: MailServer, mishap: str, delivery: str
) -> None:
    mail_server.rcpt_replies = {"ben@example.org": [mishap]}
    email = post.send(to=THREE, delivery=delivery)
    assert post.attempt(email) == "retrying"
    assert set(post.states(email).values()) == {"deferred"}
    assert mail_server.delivered == []
    assert post.attempt(email) == "succeeded"
    assert mail_server.delivered[0].recipients == THREE
    assert [r["attempts"] for r in post.read(email)["recipients"]] == [2, 2, 2]


@pytest.mark.parametrize(
    ("delivery", "job_state", "state"),
    [("at_least_once", "succeeded", "sent"), ("at_most_once", "failed", "uncertain")],
)
def test_what_a_crash_left_in_doubt(
    post: Post, mail_server: MailServer, delivery: str, job_state: str, state: str
) -> None:
    email = post.send(delivery=delivery)
    post.database.execute("UPDATE recipients SET state = 'sending' WHERE email_id = %s", (email["id"],))
    assert post.attempt(email) == job_state
    assert post.states(email) == {"ann@example.org": state}
    assert len(mail_server.delivered) == (1 if delivery == "at_least_once" else 0)


def test_an_attempt_that_lost_its_claim_sends_nothing(post: Post, mail_server: MailServer) -> None:
    email = post.send()

    def lose_claim() -> None:
        post.database.execute("UPDATE jobs SET fence = fence + 1 WHERE id = %s", (email["job_id"],))

    mail_server.before_rcpt = lose_claim
    assert post.attempt(email) == "running"
    assert mail_server.delivered == []
    assert post.read(email)["recipients"][0]["attempts"] == 0


def test_an_attempt_that_lost_its_claim_writes_nothing(post: Post, mail_server: MailServer) -> None:
    email = post.send()

    def lose_claim() -> None:
        post.database.execute("UPDATE jobs SET fence = fence + 1 WHERE id = %s", (email["job_id"],))

    mail_server.before_data_reply = lose_claim
    assert post.attempt(email) == "running"
    assert post.states(email) == {"ann@example.org": "sending"}


def test_the_servers_answer_outlasts_an_absence_of_postgresql(
    post: Post, mail_server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    def end_connections() -> None:
        post.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name IN ('jobyard-handler', 'jobyard-mail')"
        )

    mail_server.before_data_reply = end_connections
    email = post.send()
    assert post.attempt(email) == "succeeded"
    assert len(mail_server.delivered) == 1
    assert post.states(email) == {"ann@example.org": "sent"}


@pytest.mark.parametrize("mishap", [DROP, STALL, "421 Enough"])
def test_a_kept_connection_that_is_dead_costs_no_attempt(post: Post, mail_server: MailServer, mishap: str) -> None:
    assert post.attempt(post.send()) == "succeeded"
    mail_server.mail_replies = [mishap]
    email = post.send(delivery="at_most_once")
    assert post.attempt(email) == "succeeded"
    assert [recipient["attempts"] for recipient in post.read(email)["recipients"]] == [1]
    assert len(mail_server.delivered) == 2
