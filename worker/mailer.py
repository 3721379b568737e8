"""Speaking SMTP: one conversation, one message, an answer for each recipient."""

import logging
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from shared.errors import JobyardError
from shared.mail_address import Mailbox, parse_mailbox
from shared.settings import Settings

logger = logging.getLogger(__name__)

_FIRST_FAILURE = 400
_FIRST_REFUSAL = 500
_LAST_CODE = 599
_CLOSING = 421
_LONGEST_REPLY = 500


class MailServerAway(JobyardError):
    """Is raised when the conversation could not be had or broke off: whether DATA arrived is then not known."""

    status = 503
    code = "mail_server_away"
    title = "Mail server away"


@dataclass(frozen=True, slots=True)
class Reply:
    """Is what the server said of one recipient."""

    code: int
    text: str

    @property
    def accepted(self) -> bool:
        """Whether the server took it."""
        return self.code < _FIRST_FAILURE

    @property
    def refused(self) -> bool:
        """Whether asking again is useless (5xx); 4xx is neither this nor `accepted`."""
        return self.code >= _FIRST_REFUSAL


NEEDS_SMTPUTF8 = Reply(553, "The mail server does not offer SMTPUTF8, which the address needs.")


class MailConnection:
    """Is a conversation with the mail server; every step raises `MailServerAway` when it breaks off."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client
        self.smtputf8 = client.supports_extension("smtputf8")

    async def offer(self, sender: Mailbox, recipients: Sequence[Mailbox], size: int, *, utf8: bool) -> list[Reply]:
        """Name the sender and the recipients of a message; gives a reply for each recipient.

        `size` is the message's in bytes; `utf8` says that its headers hold addresses which need SMTPUTF8.
        """
        options = [f"SIZE={size}"] if self._client.supports_extension("size") else []
        if utf8 and self.smtputf8:
            options.append("SMTPUTF8")
        elif sender.needs_smtputf8:
            return [NEEDS_SMTPUTF8] * len(recipients)
        with _conversation():
            try:
                await self._client.mail(sender.wire, options=options, encoding="utf-8")
            except SMTPSenderRefused as refusal:
                return [_reply(refusal)] * len(recipients)
            return [await self._name(recipient) for recipient in recipients]

    async def _name(self, recipient: Mailbox) -> Reply:
        if recipient.needs_smtputf8 and not self.smtputf8:
            return NEEDS_SMTPUTF8
        try:
            answer = await self._client.rcpt(recipient.wire, encoding="utf-8")
        except SMTPRecipientRefused as refusal:
            return _reply(refusal)
        return Reply(answer.code, _clean(answer.message))

    async def transmit(self, content: bytes) -> Reply:
        """Send the message; the reply holds for all recipients that were accepted."""
        with _conversation():
            try:
                answer = await self._client.data(content)
            except SMTPDataError as refusal:
                return _reply(refusal)
            return Reply(answer.code, _clean(answer.message))


@asynccontextmanager
async def open_mail_connection(settings: Settings) -> AsyncGenerator[MailConnection, None]:
    """Connect as SMTP_URL says: certificates are checked, credentials are used if there are any, never logged.

    Raises `MailServerAway`, also when a certificate or the credentials are not accepted: an operator can mend that.
    """
    client = _make_client(settings)
    with _conversation():
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
    try:
        yield MailConnection(client)
        with suppress(SMTPException, OSError):
            await client.quit()
    finally:
        client.close()


def _make_client(settings: Settings) -> aiosmtplib.SMTP:
    url = urlsplit(settings.smtp_url)
    return aiosmtplib.SMTP(
        hostname=url.hostname or "localhost",
        port=url.port,
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password) if url.password else None,
        # Not the host's own name: finding that out asks the DNS, and waits for it.
        local_hostname=parse_mailbox(settings.mail_from).wire.rpartition("@")[2],
        timeout=settings.smtp_timeout_seconds,
        use_tls=url.scheme == "smtps",
        start_tls=url.scheme == "smtp+starttls",
        tls_context=None if url.scheme == "smtp" else ssl.create_default_context(),
    )


class _conversation:  # noqa: N801 - a context manager that reads as a verb
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, (SMTPException, OSError)):
            # The text may name hosts and certificates: for operators alone.
            logger.warning("the mail server cannot be used: %s: %s", type(error).__name__, error)
            raise MailServerAway(f"The mail server did not take the message ({type(error).__name__}).") from error


def _reply(refusal: SMTPResponseException) -> Reply:
    """Read a refusal; one that ends the conversation, or that is none of SMTP, is raised on."""
    if refusal.code == _CLOSING or not _FIRST_FAILURE <= refusal.code <= _LAST_CODE:
        raise refusal
    return Reply(refusal.code, _clean(refusal.message))


def _clean(text: str) -> str:
    # A server may say anything; PostgreSQL takes neither NUL nor the surrogates that stand for broken UTF-8.
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:_LONGEST_REPLY]
