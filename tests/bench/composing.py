"""Composing and signing one message, by themselves: `python -m tests.bench.composing`.

Ours by turns with the standard library's `email.message` and with dkimpy; CPU µs, the median of the rounds.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.mail_address import parse_mailbox
from shared.mail_settings import MailSettings
from tests.bench.rounds import measure_rounds
from worker.dkim_signing import Signers
from worker.mail_message import Message, compose

_CALLS = 50
_ANN = parse_mailbox("Ann Example <ann@example.org>")
_MESSAGE = Message(
    message_id="<1@example.org>",
    date=datetime(2026, 11, 27, tzinfo=UTC),
    sender=_ANN,
    reply_to=None,
    to=[_ANN],
    cc=[],
    subject="Your pictures are ready",
    text="Hello Ann,\n\nyour pictures are ready.\n" * 5,
    html="<p>Grüße, Ann.</p><p>Your pictures are ready.</p>\n" * 10,
    attachments=[],
    unsubscribe_url="https://example.org/v1/unsubscribe/0123456789abcdef",
)
_SIGNED = ["from", "from", "to", "subject", "date", "message-id", "mime-version", "content-type"]


def _by_the_library() -> bytes:
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    message["Date"] = format_datetime(_MESSAGE.date)
    message["Message-ID"] = _MESSAGE.message_id
    message["From"] = message["To"] = str(_ANN)
    message["Subject"] = _MESSAGE.subject
    message["List-Unsubscribe"] = f"<{_MESSAGE.unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(_MESSAGE.text)
    message.add_alternative(_MESSAGE.html, subtype="html")
    return message.as_bytes()


def _contenders(directory: Path) -> dict[str, Callable[[], object]]:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = directory / "key.pem"
    path.write_bytes(pem)
    signers = Signers(MailSettings.model_validate({"dkim_keys": [f"example.org:s1:{path}"]}))
    content = compose(_MESSAGE, smtputf8=False)

    def sign_with_dkimpy() -> object:
        relaxed = (b"relaxed", b"relaxed")
        return dkim.sign(content, b"s1", b"example.org", pem, canonicalize=relaxed, include_headers=_SIGNED)

    return {
        "compose": lambda: compose(_MESSAGE, smtputf8=False),
        "compose with email.message": _by_the_library,
        "sign": lambda: signers.sign(_ANN, content),
        "sign with dkimpy": sign_with_dkimpy,
    }


def main() -> None:
    """Measure and print."""
    with TemporaryDirectory() as directory:
        measure_rounds(_contenders(Path(directory)), _CALLS)


if __name__ == "__main__":
    main()
