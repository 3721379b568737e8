"""Any text arrives as it was given or is refused: in headers nothing is lost, and nothing becomes a header."""

from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.mail_address import Mailbox, is_one_line, make_mailbox, parse_mailbox
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer
from worker.mail_message import Attachment, Message, compose

ANN = parse_mailbox("ann@example.org")
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=200)
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


def write(
    subject: str = "Hello",
    sender: Mailbox = ANN,
    to: tuple[Mailbox, ...] = (ANN,),
    text: str | None = "Hi.",
    attachments: tuple[Attachment, ...] = (),
) -> bytes:
    message = Message(
        message_id="<1@example.com>",
        date=datetime(2026, 11, 24, 12, tzinfo=UTC),
        sender=sender,
        reply_to=None,
        to=to,
        cc=(),
        subject=subject,
        text=text,
        html=None,
        attachments=attachments,
    )
    content = compose(message, smtputf8=False)
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")
    return content


def read(**given: Any) -> EmailMessage:
    return message_from_bytes(write(**given), policy=default)


def headers_of(message: EmailMessage) -> list[str]:
    return sorted(name for name in message if not name.startswith("Content-"))


def mailboxes_of(content: bytes, header: str) -> list[tuple[str, str]]:
    """Read addresses by the older parser: the newer leaves a space between encoded words, against RFC 2047, 6.2."""
    raw = message_from_bytes(content)[header]
    return [(str(make_header(decode_header(name))), address) for name, address in getaddresses([raw])]


PLAIN_HEADERS = ["Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(subject=ANY_TEXT)
@example(subject="")
@example(subject=" ")
@example(subject="x\r\nBcc: evil@example.org")
@example(subject="=?utf-8?q?abc?= x")
@example(subject="🎉" * 300)
@example(subject="\x1c")
@example(subject="\u2028")
def test_a_subject_arrives_intact_or_is_refused(post: Post, mail_server: MailServer, subject: str) -> None:
    body: dict[str, Any] = {"to": ["ann@example.org"], "subject": subject, "text": "Hi."}
    answer = post.client.post("/v1/emails", json=body, headers=post.owner.headers)
    assert answer.status_code == (202 if is_one_line(subject) else 422), answer.text
    if answer.status_code == 202:
        assert post.attempt(answer.json()) == "succeeded"
        message = mail_server.delivered[-1].message
        assert str(message["Subject"]) == subject
        assert headers_of(message) == PLAIN_HEADERS


@given(subject=ONE_LINE)
def test_subjects_survive(subject: str) -> None:
    message = read(subject=subject)
    assert str(message["Subject"]) == subject
    assert headers_of(message) == PLAIN_HEADERS


@given(names=st.lists(ONE_LINE | st.sampled_from(TRICKY), min_size=1, max_size=5))
def test_names_survive(names: list[str]) -> None:
    mailboxes = tuple(make_mailbox(name, f"a{number}@example.org") for number, name in enumerate(names))
    content = write(sender=mailboxes[0], to=mailboxes)
    message = message_from_bytes(content, policy=default)
    expected = [(name, f"a{number}@example.org") for number, name in enumerate(names)]
    assert mailboxes_of(content, "To") == expected
    assert mailboxes_of(content, "From") == expected[:1]
    assert headers_of(message) == PLAIN_HEADERS


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


@given(name=ONE_LINE.filter(lambda name: name == name.strip()), content=st.binary(max_size=500))
def test_attachments_survive(name: str, content: bytes) -> None:
    [part] = read(attachments=(Attachment(name, "application/x-thing", content),)).iter_attachments()
    assert (part.get_filename(), part.get_payload(decode=True)) == (name, content)


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1))
def test_texts_survive(text: str) -> None:
    body = read(text=text).get_content().replace("\r\n", "\n")
    assert body == (text if text.endswith("\n") else f"{text}\n")


def test_a_message_in_a_message_is_an_opaque_file() -> None:
    inner = b"Subject: inner\r\n\r\nhi\r\n"
    for media_type in ("message/rfc822", "multipart/mixed", "text", "a/b; c=d", "x\r\ny/z"):
        [part] = read(attachments=(Attachment("m.eml", media_type, inner),)).iter_attachments()
        assert (part.get_content_type(), part.get_payload(decode=True)) == ("application/octet-stream", inner)
