"""Any value is found in the headers of a message as it was given, or is refused; nothing becomes a header."""

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.mail_address import Mailbox, is_one_line, make_mailbox, parse_mailbox
from tests.messages import ANN, ANY_TEXT, ONE_LINE, PLAIN_HEADERS, headers_of, make_message, read, write
from worker.mail_message import Attachment, InlineImage, compose

TRICKY = [
    "=?utf-8?q?abc?= x",
    "a, b " * 20,
    'Müller, "Ann" ' + "x" * 80,
    "é, " * 60,
    " lead",
    "trail ",
    "a  b",
    "\\",
    '"',
]
FEW = settings(max_examples=50, deadline=None)
INJECTIONS = [
    "x\r\nBcc: evil@example.org",
    "x\nBcc: a@b.example",
    "x\ry",
    "x\0",
    "x\x1b",
    "x\x85y",
    "x\u2028y",
    "\ud800",
]


def mailboxes_of(content: bytes, header: str) -> list[tuple[str, str]]:
    """Read addresses by the older parser: the newer leaves a space between encoded words, against RFC 2047, 6.2."""
    raw = message_from_bytes(content)[header]
    return [(str(make_header(decode_header(name))), address) for name, address in getaddresses([raw])]


@FEW
@given(subject=ONE_LINE)
@example(subject="word " * 190)
@example(subject="x" * 980)
@example(subject="x" * 1200)
@example(subject="é" * 900)
@example(subject="=?utf-8?q?abc?= x")
def test_subjects_survive(subject: str) -> None:
    content = write(subject=subject)
    message = message_from_bytes(content, policy=default)
    assert str(message["Subject"]) == subject
    assert headers_of(message) == PLAIN_HEADERS


@FEW
@given(names=st.lists(ONE_LINE | st.sampled_from(TRICKY), min_size=1, max_size=5))
def test_names_survive(names: list[str]) -> None:
    mailboxes = tuple(make_mailbox(name, f"a{number}@example.org") for number, name in enumerate(names))
    content = write(sender=mailboxes[0], to=mailboxes, cc=mailboxes[:1], reply_to=mailboxes[-1])
    message = message_from_bytes(content, policy=default)
    expected = [(name, f"a{number}@example.org") for number, name in enumerate(names)]
    assert mailboxes_of(content, "To") == expected
    assert mailboxes_of(content, "From") == mailboxes_of(content, "Cc") == expected[:1]
    assert mailboxes_of(content, "Reply-To") == expected[-1:]
    assert headers_of(message) == sorted([*PLAIN_HEADERS, "Cc", "Reply-To"])


@FEW
@given(name=ONE_LINE | st.sampled_from(TRICKY))
def test_a_mailbox_is_read_as_it_is_written(name: str) -> None:
    mailbox = make_mailbox(name, "ann@bücher.example")
    assert parse_mailbox(str(mailbox)) == mailbox


@given(text=ANY_TEXT)
def test_whatever_claims_to_be_a_mailbox_is_one_line(text: str) -> None:
    try:
        mailbox = parse_mailbox(text)
    except ValueError:
        return
    assert is_one_line(str(mailbox))
    assert is_one_line(mailbox.wire)


@FEW
@given(name=st.from_regex(r"[!-9;-~]{1,30}", fullmatch=True), value=ANY_TEXT)
@example(name="X-" + "n" * 68, value="é" * 50)
@example(name="X-Ids", value="a" * 900)
@example(name="X-Json", value='{"a": "' + "b" * 100 + '", "c": [1, 2, 3]}')
def test_custom_headers_survive_or_are_refused(name: str, value: str) -> None:
    try:
        message = read(headers={f"X-{name}"[:70]: value})
    except ValueError:
        assert not is_one_line(value)
        return
    assert str(message[f"X-{name}"[:70]]) == value
    assert headers_of(message) == sorted([*PLAIN_HEADERS, f"X-{name}"[:70]])


def test_plain_values_stay_readable_and_are_folded() -> None:
    head = write(headers={"X-Campaign": "autumn " * 20 + "sale"}).partition(b"\r\n\r\n")[0]
    assert b"X-Campaign: autumn autumn" in head
    assert max(map(len, head.split(b"\r\n"))) <= 76


def test_urls_are_never_encoded() -> None:
    given = {"List-Help": "<https://example.org/?q=?utf-8?q?a?=>, <mailto:help@example.org>"}
    assert given["List-Help"].encode() in write(headers=given)


def test_threads_are_message_ids_never_encoded() -> None:
    ids = " ".join(f"<{number}.{'x' * 40}@example.com>" for number in range(30))
    head = write(headers={"In-Reply-To": "<a?=@example.com>", "References": ids}).partition(b"\r\n\r\n")[0]
    assert b"In-Reply-To: <a?=@example.com>" in head
    assert ids in head.decode().replace("\r\n ", " ")
    assert max(map(len, head.split(b"\r\n"))) <= 76
    for value in (
        "hello",
        "<ä@example.com>",
        "<a@example.com>,<b@example.com>",
        f"<{'x' * 1000}@example.com>",
        "",
        "<>",
    ):
        with pytest.raises(ValueError, match="References"):
            write(headers={"References": value})


@pytest.mark.parametrize(
    "headers",
    [
        *({name: "x"} for name in ("From", "bcc", "Subject", "Content-Type", "MIME-Version", "DKIM-Signature", "")),
        *({name: "x"} for name in ("A:b", "A b", "Ä", "A\r\nB", "Received", "Resent-From", "x" * 71)),
        {"X-One": "1", "x-one": "2"},
    ],
)
def test_headers_that_are_not_custom_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        write(headers=headers)


def test_one_click_unsubscribing() -> None:
    url = "https://example.com/u/" + "x" * 900
    message = read(unsubscribe_url=url)
    assert message["List-Unsubscribe"] == f"<{url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    for bad in ("https://e.example/a b", "https://e.example/>", "https://ä.example/", url + "x" * 60, ""):
        with pytest.raises(ValueError, match="unsubscribe"):
            write(unsubscribe_url=bad)
    with pytest.raises(ValueError, match="custom"):
        write(unsubscribe_url=url, headers={"List-Unsubscribe": "<mailto:a@example.com>"})
    assert read(headers={"List-Unsubscribe": "<mailto:a@example.com>"})["List-Unsubscribe"] == "<mailto:a@example.com>"


@pytest.mark.parametrize("evil", INJECTIONS)
@pytest.mark.parametrize(
    "place",
    ["subject", "message_id", "sender", "to", "name", "headers", "unsubscribe_url", "file", "content_id", "image"],
)
def test_what_the_front_let_through_is_refused(place: str, evil: str) -> None:
    given: dict[str, dict[str, Any]] = {
        "subject": {"subject": evil},
        "message_id": {"message_id": f"<{evil}@example.com>"},
        "sender": {"sender": Mailbox(None, f"{evil}@example.org", f"{evil}@example.org")},
        "to": {"to": (Mailbox(None, "a@example.org", f"a@{evil}"),)},
        "name": {"reply_to": Mailbox(evil, "a@example.org", "a@example.org")},
        "headers": {"headers": {"X-A": evil}},
        "unsubscribe_url": {"unsubscribe_url": f"https://example.com/{evil}"},
        "file": {"attachments": (Attachment(evil + "x", "text/plain", b""),)},
        "content_id": {"html": "<p>", "inline_images": (InlineImage(evil, "a", "image/png", b""),)},
        "image": {"html": "<p>", "inline_images": (InlineImage("a", evil + "x", "image/png", b""),)},
    }
    with pytest.raises(ValueError, match=r"one line|message id|address|printable"):
        compose(make_message(**given[place]), smtputf8=True)


def test_one_address_never_becomes_two() -> None:
    for wire in (
        "a@example.org,b@example.org",
        "a@b@example.org",
        "a b@example.org",
        "<a@example.org>",
        "x:a@b.example;",
    ):
        with pytest.raises(ValueError, match="address"):
            write(to=(Mailbox(None, wire, wire),))


def test_nobody_is_named_when_all_copies_are_blind() -> None:
    assert read(to=())["To"] == "undisclosed-recipients:;"
    assert read(to=(), cc=(ANN,))["To"] is None


def test_an_address_that_needs_smtputf8_is_whole_with_it_and_readable_without() -> None:
    mailbox = make_mailbox("Jürgen", "jürgen@bücher.example")
    content = compose(make_message(sender=mailbox), smtputf8=True)
    assert mailboxes_of(content, "Subject") == [("", "Hello")]
    assert f"<{mailbox.wire}>".encode() in content
    assert "jürgen@bücher.example" in str(read(sender=mailbox)["From"])


def test_the_date_is_that_of_the_message() -> None:
    date = datetime(2026, 11, 24, 13, 5, 9, tzinfo=timezone(timedelta(hours=1)))
    written = read(date=date)["Date"]
    assert str(written) == "Tue, 24 Nov 2026 13:05:09 +0100"
    assert parsedate_to_datetime(str(written)) == datetime(2026, 11, 24, 12, 5, 9, tzinfo=UTC)
