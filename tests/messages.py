"""Messages as the worker composes them, and what a reader finds in them."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from hypothesis import strategies as st

from shared.mail_address import parse_mailbox
from worker.mail_message import Message, compose

ANN = parse_mailbox("ann@example.org")
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=200)
PLAIN_HEADERS = ["Date", "From", "MIME-Version", "Message-ID", "Subject", "To"]


def make_message(**given: Any) -> Message:
    plain: dict[str, Any] = {
        "message_id": "<1@example.com>",
        "date": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "sender": ANN,
        "reply_to": None,
        "to": (ANN,),
        "cc": (),
        "subject": "Hello",
        "text": "Hi.",
        "html": None,
        "attachments": (),
    }
    return Message(**plain | given)


def write(**given: Any) -> bytes:
    """Compose, and require what holds for all messages: ASCII, lines that end in CRLF and are as short as they can."""
    content = compose(make_message(**given), smtputf8=False)
    assert content.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    head, _, body = content.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    return content


def read(**given: Any) -> EmailMessage:
    return message_from_bytes(write(**given), policy=default)


def headers_of(message: EmailMessage) -> list[str]:
    return sorted(name for name in message if not name.startswith("Content-"))
