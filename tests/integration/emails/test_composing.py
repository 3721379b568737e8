"""What is composed and signed arrives over SMTP as it was given, and its signature holds there."""

import asyncio
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, example, given, settings

from shared.mail_address import is_one_line, parse_mailbox
from tests.dkim_keys import is_valid, make_signers, pem_of
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer
from tests.messages import ANN, ANY_TEXT, PLAIN_HEADERS, headers_of, make_message
from worker.mail_message import Attachment, InlineImage, compose


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


TEXTS = {
    "dots": ".\n..\n...x\n.\n",
    "blank lines at the end": "Hi.\n \n\t\n\n\n",
    "nothing": "",
    "one dot": ".",
    "long lines": "x" * 3000 + "\n" + "é" * 3000,
    "every control": "".join(map(chr, range(1, 32))),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("whole", [False, True], ids=["the text alone", "with all parts"])
def test_a_signature_holds_after_the_way_over_smtp(
    mail_server: MailServer, tmp_path: Path, text: str, *, whole: bool
) -> None:
    path, key = tmp_path / "key.pem", rsa.generate_private_key(65537, 2048)
    path.write_bytes(pem_of(key))
    sender = parse_mailbox("Jürgen Müller <jürgen@bücher.example>") if whole else ANN
    others: dict[str, Any] = {
        "subject": "Grüße, " * 60,
        "to": (ANN,) * 30,
        "html": "<p>.\n..\nGrüße <img src='cid:a'>",
        "attachments": (Attachment("größe.txt", "text/plain", b".\r\n.\n"),),
        "inline_images": (InlineImage("a", "a.png", "image/png", b"\x89"),),
        "headers": {"References": "<a@example.org> " * 60 + "<b@example.org>"},
        "unsubscribe_url": "https://example.org/" + "u" * 900,
    }
    content = compose(make_message(sender=sender, text=text, **others if whole else {}), smtputf8=True)
    signed = make_signers(path, "example.org", "bücher.example").sign(sender, content)
    options = ["SMTPUTF8"] if whole else []
    asyncio.run(
        aiosmtplib.send(
            signed,
            sender=sender.wire,
            recipients=["ann@example.org"],
            hostname="127.0.0.1",
            port=mail_server.port,
            mail_options=options,
        )
    )
    arrived = mail_server.delivered[-1].content
    assert arrived == signed
    domain = "xn--bcher-kva.example" if whole else "example.org"
    assert is_valid(arrived, key, domain)
    assert not is_valid(arrived.replace(b"2026", b"2027", 1), key, domain)
