"""What else goes with an e-mail: senders, headers, pictures, links to unsubscribe; and how large it may be."""

from typing import Any

import pytest

from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.emails.conftest import Post, store_file
from tests.integration.emails.mail_server import MailServer
from tests.integration.files.bodies import PNG

HELLO: dict[str, Any] = {"to": ["ann@example.org"], "subject": "Hello", "text": "Hi."}
PAGE = HELLO | {"html": '<img src="cid:logo">'}
LIMIT = 200_000
ABSENT = "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    senders = ["News <news@example.net>", "@bücher.example"]
    return settings.model_copy(update={"mail_senders": senders, "max_message_bytes": LIMIT})


def ask(post: Post, **body: Any) -> Any:
    return post.client.post("/v1/emails", json=HELLO | body, headers=post.owner.headers)


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("jobyard@example.com", "example.com"),
        ("NEWS@example.NET", "example.net"),
        ("anyone@BÜCHER.example", "xn--bcher-kva.example"),
        ("Ann <ann@xn--bcher-kva.example>", "xn--bcher-kva.example"),
    ],
)
def test_senders_that_are_allowed(post: Post, mail_server: MailServer, sender: str, domain: str) -> None:
    email = post.send(**{"from": sender})
    assert email["message_id"].casefold() == f"<{email['id']}@{domain}>"
    assert post.attempt(email) == "succeeded"
    assert mail_server.delivered[0].sender.casefold().endswith(domain)


def test_senders_that_are_not(post: Post) -> None:
    for sender in ("ann@example.com", "other@example.net", "ann@sub.bücher.example", "ann@xbücher.example"):
        answer = ask(post, **{"from": sender})
        assert (answer.status_code, answer.json()["code"]) == (422, "sender_not_allowed")
        assert answer.json()["errors"][0]["pointer"] == "/from"


def test_headers_arrive_as_they_were_given(post: Post, mail_server: MailServer) -> None:
    headers = {
        "In-Reply-To": "<1@example.com>",
        "References": "<1@example.com> <2@example.com>",
        "List-Id": "Orders <orders.example.com>",
        "Auto-Submitted": "auto-generated",
        "X-Bestellung": "Größe 42, {braces} =?utf-8?q?x?=",
        "Comments": "图片 🎉",
    }
    email = post.send(headers=headers)
    assert email["headers"] == headers
    assert post.attempt(email) == "succeeded"
    message = mail_server.delivered[0].message
    assert {name: message[name] for name in headers} == headers
    assert len(message.get_all("In-Reply-To", [])) == 1


REFUSED: list[tuple[str, Any, str]] = [
    ("Bcc", "evil@example.org", "header_not_allowed"),
    ("from", "evil@example.org", "header_not_allowed"),
    ("Content-Type", "text/html", "header_not_allowed"),
    ("Date", "now", "header_not_allowed"),
    ("DKIM-Signature", "v=1", "header_not_allowed"),
    ("Return-Path", "<>", "header_not_allowed"),
    ("X-Envelope-To", "evil@example.org", "header_not_allowed"),
    ("x-SMTPAPI", "{}", "header_not_allowed"),
    ("X-MC-BccAddress", "evil@example.org", "header_not_allowed"),
    ("X-RcptTo", "evil@example.org", "header_not_allowed"),
    ("X-", "x", "header_not_allowed"),
    ("X-A: b\r\nBcc", "x", "header_not_allowed"),
    ("X-A B", "x", "header_not_allowed"),
    ("X-Ä", "x", "header_not_allowed"),
    ("X-\0", "x", "header_not_allowed"),
    ("", "x", "header_not_allowed"),
    ("X-" + "a" * 100, "x", "header_not_allowed"),
    ("X-A", "x\r\nBcc: evil@example.org", "header_not_one_line"),
    ("Comments", "x\n y", "header_not_one_line"),
    ("Comments", "x\u2028y", "header_not_one_line"),
    ("Comments", "x\0y", "header_not_one_line"),
    ("X-A", "", "header_empty"),
    ("X-A", "  ", "header_empty"),
    ("X-A", "x" * 994, "header_too_long"),
    ("X-A", 5, "string_type"),
    ("X-A", None, "string_type"),
    ("In-Reply-To", "1@example.com", "header_malformed"),
    ("References", "<1@example.com>, <2@example.com>", "header_malformed"),
    ("List-Id", "Ämter <a.example.com>", "header_malformed"),
    ("List-Unsubscribe", "https://example.com/", "header_malformed"),
    ("Importance", "very", "header_malformed"),
]


def test_headers_that_are_refused(post: Post) -> None:
    for name, value, code in REFUSED:
        answer = ask(post, headers={"X-Good": "y", name: value})
        assert answer.status_code == 422, name
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(f"/headers/{name}", code)]


def test_headers_are_few_and_each_is_given_once(post: Post) -> None:
    twice = ask(post, headers={"X-A": "1", "x-a": "2"})
    assert [(error["pointer"], error["code"]) for error in twice.json()["errors"]] == [
        ("/headers/x-a", "header_given_twice")
    ]
    assert ask(post, headers={f"X-{n}": "x" * 990 for n in range(21)}).json()["errors"][0]["pointer"] == "/headers"
    assert ask(post, headers={f"X-{n}": "x" * 990 for n in range(20)}).status_code == 202
    for wrong in (["X-A"], "X-A: b", 5):
        assert ask(post, headers=wrong).json()["errors"][0]["pointer"] == "/headers"


def test_a_recipient_gets_a_link_to_unsubscribe(post: Post, mail_server: MailServer) -> None:
    email = post.send(unsubscribe=True, headers={"X-A": "b"})
    assert email["unsubscribe_url"].startswith("http://testserver/v1/unsubscribe/")
    assert post.attempt(email) == "succeeded"
    assert mail_server.delivered[0].message["List-Unsubscribe"] == f"<{email['unsubscribe_url']}>"
    both = ask(post, unsubscribe=True, headers={"list-unsubscribe": "<https://example.com/>"})
    assert both.json()["errors"][0]["pointer"] == "/headers/list-unsubscribe"


def test_the_page_shows_inline_images(post: Post, mail_server: MailServer) -> None:
    logo = post.store("logo.png", "image/png", PNG)
    images = [{"file_id": str(logo), "content_id": "logo"}]
    email = post.send(html=PAGE["html"], inline_images=images, delivery="at_most_once")
    assert (email["inline_images"], email["delivery"]) == (images, "at_most_once")
    kept = post.database.execute("SELECT file_id FROM job_files").fetchall()
    assert kept == [(logo,)]
    assert post.attempt(email) == "succeeded"
    [image] = [part for part in mail_server.delivered[0].message.walk() if part.get_content_type() == "image/png"]
    assert (image["Content-ID"], image.get_payload(decode=True)) == ("<logo>", PNG)


def test_only_pictures_of_ones_own_are_shown(post: Post, stranger: Owner) -> None:
    theirs = store_file(post.database, post.settings, stranger.id, "a.png", "image/png", PNG)
    page = post.store("a.html", "text/html", b"<p>")
    mine = post.store("a.png", "image/png", PNG)

    def answer(file_id: object, **body: Any) -> tuple[int, str, str]:
        images = [{"file_id": str(file_id), "content_id": "logo"}]
        refused = ask(post, **PAGE | {"inline_images": images} | body)
        return refused.status_code, refused.json()["code"], refused.json()["errors"][0]["pointer"]

    assert answer(theirs) == answer(ABSENT) == (404, "file_not_found", "/inline_images/0/file_id")
    assert answer(page) == (415, "media_type_not_allowed", "/inline_images/0/file_id")
    assert answer(mine, html=None) == (422, "html_missing", "/inline_images")
    assert post.database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


def test_messages_are_limited_as_encoded(post: Post) -> None:
    def stored(size: int) -> str:
        return str(store_file(post.database, post.settings, post.owner.id, "b.bin", "image/x", b"", size=size))

    half = LIMIT // 2 * 57 // 78
    assert ask(post, attachment_ids=[stored(half - 5000), stored(half - 5000)]).status_code == 202
    for body in (
        {"attachment_ids": [stored(half), stored(half)]},
        {"html": "<p>", "inline_images": [{"file_id": stored(half), "content_id": each} for each in "ab"]},
        {"text": "ä" * (LIMIT * 3 // 8)},
        {"text": "\n" * (LIMIT // 2)},
    ):
        answer = ask(post, **body)
        assert (answer.status_code, answer.json()["code"]) == (422, "message_too_large")


def test_a_message_is_never_larger_than_was_thought(post: Post, mail_server: MailServer) -> None:
    """Each text is about as large as the limit lets it be in the encoding that serves it worst."""
    for text in ("\n" * 65_000, "a=b " * 33_000, "é" + "e" * 135_000, "図" * 45_000, ("x" * 77 + "\n") * 1_700):
        email = post.send(text=text)
        assert post.attempt(email) == "succeeded"
        assert len(mail_server.delivered[-1].content) < LIMIT
