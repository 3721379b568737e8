"""An e-mail's way from the request to the server, and the server's every answer on its way back."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest

from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import Delivered, MailServer

NONE = dict.fromkeys(("sent", "bounced", "suppressed", "uncertain", "cancelled", "failed"), 0)
THREE = ["ann@example.org", "ben@example.org", "cyd@example.org"]
BLOB = bytes(range(256)) * 300 + b"\r\n.\r\nMAIL FROM:<x@example.org>\r\n"


def test_a_message_arrives_as_it_was_written(post: Post, mail_server: MailServer) -> None:
    attached = post.store("Prüfung „1“ 图.bin", "application/x-thing", BLOB)
    note = post.store("note.txt", "text/plain", b"plain\n")
    text = "Grüße\n.dot\n..two\n" + "x" * 3000 + "\nFrom here\n"
    email = post.send(
        **{"from": "Jöbyard, Inc. <jobyard@example.com>"},
        reply_to='"Help, please" <help@example.com>',
        to=["Änn Example <ann@bücher.example>"],
        cc=["cyd@example.org"],
        bcc=["Secret <ben@example.org>"],
        subject="Ihre Bilder sind da: 图片 🎉",
        text=text,
        html="<p>Grüße</p>",
        attachment_ids=[str(attached), str(note)],
    )
    assert post.attempt(email) == "succeeded"

    [arrived] = mail_server.delivered
    assert arrived.sender == "jobyard@example.com"
    assert arrived.recipients == ["ann@xn--bcher-kva.example", "cyd@example.org", "ben@example.org"]
    assert_headers_as_written(arrived.message, email)
    assert_content_as_written(arrived, text)

    seen = post.read(email)
    assert seen["done"] is True
    assert seen["counts"]["sent"] == 3
    assert {(r["state"], r["reply_code"], r["reply_text"], r["attempts"]) for r in seen["recipients"]} == {
        ("sent", 250, "OK", 1)
    }
    assert all(r["sent_at"] for r in seen["recipients"])
    assert post.job(email)["result"] == NONE | {"sent": 3}


def assert_headers_as_written(message: EmailMessage, email: dict[str, Any]) -> None:
    assert message["Subject"] == "Ihre Bilder sind da: 图片 🎉"
    assert [(a.display_name, a.addr_spec) for a in message["From"].addresses] == [
        ("Jöbyard, Inc.", "jobyard@example.com")
    ]
    assert [(a.display_name, a.addr_spec) for a in message["To"].addresses] == [
        ("Änn Example", "ann@xn--bcher-kva.example")
    ]
    assert [a.addr_spec for a in message["Cc"].addresses] == ["cyd@example.org"]
    assert message["Reply-To"].addresses[0].display_name == "Help, please"
    assert message["Message-ID"] == email["message_id"]
    assert message["Date"].datetime.isoformat(timespec="seconds")[:19] == email["created_at"][:19]
    assert message["Bcc"] is None
    assert not message.defects


def assert_content_as_written(arrived: Delivered, text: str) -> None:
    message = arrived.message
    body, html = message.get_body(("plain",)), message.get_body(("html",))
    assert body is not None
    assert html is not None
    assert body.get_content().replace("\r\n", "\n") == text
    assert html.get_content().strip() == "<p>Grüße</p>"
    parts = [(p.get_filename(), p.get_content_type(), p.get_payload(decode=True)) for p in message.iter_attachments()]
    assert parts == [
        ("Prüfung „1“ 图.bin", "application/x-thing", BLOB),
        ("note.txt", "text/plain", b"plain\n"),
    ]
    assert b"ben@" not in arrived.content
    assert b"Secret" not in arrived.content
    assert max(len(line) for line in arrived.content.split(b"\r\n")) <= 78


def test_each_recipient_is_settled_by_itself(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ben@example.org": ["451 Come back later"], "cyd@example.org": ["550 Who is that"]}
    email = post.send(to=THREE)
    assert post.attempt(email) == "retrying"
    assert post.states(email) == {
        "ann@example.org": "sent",
        "ben@example.org": "deferred",
        "cyd@example.org": "bounced",
    }
    assert [r["next_attempt_at"] is not None for r in post.read(email)["recipients"]] == [False, True, False]
    replies = [(r["reply_code"], r["reply_text"]) for r in post.read(email)["recipients"]]
    assert replies == [(250, "OK"), (451, "Come back later"), (550, "Who is that")]

    mail_server.asked.clear()
    assert post.attempt(email) == "succeeded"
    assert mail_server.asked == ["ben@example.org"]
    first, second = mail_server.delivered
    assert (first.recipients, second.recipients) == (["ann@example.org"], ["ben@example.org"])
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Date"] == second.message["Date"]
    assert post.job(email)["result"] == NONE | {"sent": 2, "bounced": 1}
    assert [r["attempts"] for r in post.read(email)["recipients"]] == [1, 2, 1]


def test_an_email_that_everyone_refuses_fails(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ann@example.org": ["550 No"]}
    email = post.send()
    assert post.attempt(email) == "failed"
    error = post.job(email)["error"]
    assert (error["code"], error["retryable"]) == ("all_recipients_refused", False)
    assert "550 No" in error["detail"]
    assert post.states(email) == {"ann@example.org": "bounced"}
    assert mail_server.delivered == []


def test_who_is_deferred_for_too_long_has_bounced(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ben@example.org": ["450 Busy"]}
    email = post.send(to=THREE)
    post.age(email)
    assert post.attempt(email) == "succeeded"
    assert post.states(email)["ben@example.org"] == "bounced"
    assert post.job(email)["result"] == NONE | {"sent": 2, "bounced": 1}


def test_an_email_deferred_to_the_end_fails(post: Post, mail_server: MailServer) -> None:
    mail_server.data_replies = ["452 Disk full"]
    email = post.send()
    post.age(email)
    assert post.attempt(email) == "failed"
    assert post.job(email)["error"]["code"] == "all_recipients_refused"
    recipient = post.read(email)["recipients"][0]
    assert (recipient["state"], recipient["reply_code"], recipient["reply_text"]) == ("bounced", 452, "Disk full")


@pytest.mark.parametrize(
    ("reply", "job_state", "state"),
    [("554 Spam", "failed", "bounced"), ("451 Local error", "retrying", "deferred")],
)
def test_an_answer_to_the_message_holds_for_all(
    post: Post, mail_server: MailServer, reply: str, job_state: str, state: str
) -> None:
    mail_server.data_replies = [reply]
    email = post.send(to=THREE)
    assert post.attempt(email) == job_state
    assert set(post.states(email).values()) == {state}


@pytest.mark.parametrize(
    ("reply", "job_state", "state"),
    [("552 Too big", "failed", "bounced"), ("452 Not now", "retrying", "deferred")],
)
def test_an_answer_to_the_sender_holds_for_all(
    post: Post, mail_server: MailServer, reply: str, job_state: str, state: str
) -> None:
    mail_server.mail_replies = [reply]
    email = post.send(to=THREE)
    assert post.attempt(email) == job_state
    assert set(post.states(email).values()) == {state}
    assert mail_server.asked == []


def test_a_server_that_stays_away_defers_all_until_they_are_given_up(post: Post, mail_server: MailServer) -> None:
    mail_server.stop()
    email = post.send(to=THREE)
    assert post.attempt(email) == "retrying"
    assert set(post.states(email).values()) == {"deferred"}
    assert str(mail_server.port) not in str(post.read(email))
    post.age(email)
    assert post.attempt(email) == "failed"
    assert post.job(email)["error"]["code"] == "all_recipients_refused"
    assert set(post.states(email).values()) == {"bounced"}


def test_pauses_grow_from_minutes_to_hours(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ann@example.org": ["450 Busy"] * 12}
    email = post.send()
    pauses: list[float] = []
    for _ in range(12):
        assert post.attempt(email) == "retrying"
        row = post.database.execute(
            "SELECT extract(epoch FROM next_attempt_at - replied_at)::float8, j.run_at - next_attempt_at"
            " FROM recipients r JOIN emails e ON e.id = email_id JOIN jobs j ON j.id = e.job_id WHERE e.id = %s",
            (email["id"],),
        ).fetchone()
        assert row is not None
        pauses.append(row[0])
        assert abs(row[1]) < timedelta(seconds=5)
    base, cap = post.settings.mail_backoff_seconds, post.settings.mail_backoff_cap_seconds
    for number, pause in enumerate(pauses):
        expected = min(cap, base * 2**number)
        assert expected * 0.99 <= pause <= expected * 1.26


@pytest.mark.parametrize(
    ("reply", "suppressed"),
    [
        ("550 5.1.1 No such user", True),
        ("550 No such user", True),
        ("550 5.7.1 We do not like you", False),
        ("552 5.2.2 Mailbox full", False),
        ("450 4.2.1 Busy", False),
    ],
)
def test_an_address_that_is_bad_is_not_written_to_again(
    post: Post, mail_server: MailServer, reply: str, *, suppressed: bool
) -> None:
    mail_server.rcpt_replies = {"Ann@example.org": [reply]}
    post.attempt(post.send(to=["Ann@example.org", "ben@example.org"]))
    again = post.send(to=["ann@example.org", "ben@example.org"])
    assert post.states(again)["ann@example.org"] == ("suppressed" if suppressed else "queued")
    assert post.attempt(again) == "succeeded"
    assert mail_server.delivered[-1].recipients == (["ben@example.org"] if suppressed else THREE[:2])


def test_who_is_suppressed_before_the_mail_goes_gets_none(post: Post, mail_server: MailServer) -> None:
    email = post.send(to=THREE[:2])
    post.database.execute(
        "INSERT INTO suppressions (owner_id, address_key, address, reason)"
        " VALUES (%s, 'ann@example.org', 'ann@example.org', 'complaint')",
        (post.owner.id,),
    )
    assert post.attempt(email) == "succeeded"
    assert post.states(email) == {"ann@example.org": "suppressed", "ben@example.org": "sent"}
    assert [arrived.recipients for arrived in mail_server.delivered] == [["ben@example.org"]]


def test_a_reply_that_cannot_be_stored_is_cleaned(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ann@example.org": ["550 bad\0 " + "x" * 450]}
    email = post.send()
    assert post.attempt(email) == "failed"
    text = post.read(email)["recipients"][0]["reply_text"]
    assert text == "bad " + "x" * 450


def test_an_email_whose_attachment_is_gone_fails(post: Post, mail_server: MailServer) -> None:
    attached = post.store("a.bin", "application/octet-stream", b"abc")
    email = post.send(attachment_ids=[str(attached)])
    for blob in (post.settings.storage_dir / "uploads").rglob("*"):
        if blob.is_file():
            blob.unlink()
    assert post.attempt(email) == "failed"
    error = post.job(email)["error"]
    assert (error["code"], "is gone" in error["detail"]) == ("nothing_sent", True)
    assert post.states(email) == {"ann@example.org": "failed"}
    assert mail_server.delivered == []


def test_addresses_beyond_ascii_need_smtputf8(post: Post, mail_server: MailServer) -> None:
    email = post.send(to=["Jörg <jörg@bücher.example>", "ann@example.org"])
    assert post.attempt(email) == "succeeded"
    [arrived] = mail_server.delivered
    assert arrived.recipients == ["jörg@xn--bcher-kva.example", "ann@example.org"]
    assert "SMTPUTF8" in arrived.mail_options
    assert "jörg@xn--bcher-kva.example".encode() in arrived.content


def test_without_smtputf8_such_an_address_bounces_and_the_others_get_ascii(post: Post, mail_server: MailServer) -> None:
    mail_server.options = {"enable_SMTPUTF8": False}
    email = post.send(to=["Jörg <jörg@bücher.example>", "ann@example.org"])
    assert post.attempt(email) == "succeeded"
    assert post.states(email) == {"jörg@bücher.example": "bounced", "ann@example.org": "sent"}
    [arrived] = mail_server.delivered
    assert arrived.recipients == ["ann@example.org"]
    assert arrived.content.isascii()
    assert [a.addr_spec for a in arrived.message["To"].addresses] == ["ann@example.org"]
