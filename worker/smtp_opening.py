"""Opening a connection to a mail server: TLS, certificates, credentials, and what it means when none can be had."""

import logging
import ssl
from ipaddress import ip_address

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPResponseException

from shared.mail_settings import SmtpServer
from worker.smtp_connection import MailConnection, MailServerAway, ServerFull

logger = logging.getLogger(__name__)


async def open_connection(
    server: SmtpServer, local_hostname: str, step_seconds: float, tls: ssl.SSLContext
) -> MailConnection:
    """Connect: certificates are checked, credentials are used if there are any, never logged and never sent in clear.

    Raises `MailServerAway`, also when a certificate or the credentials are not accepted: an operator can mend that.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password.get_secret_value() if server.password else None,
        # Not the host's own name: finding that out asks the DNS, and waits for it.
        local_hostname=local_hostname,
        timeout=step_seconds,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        tls_context=None if server.scheme == "smtp" else tls,
    )
    try:
        _require_privacy(server)
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await client.ehlo()
    except (SMTPException, OSError, ValueError) as error:
        client.close()
        # A server may repeat the credentials; a host that is no name is a `ValueError` of the codec "idna".
        why = error.code if isinstance(error, SMTPAuthenticationError) else error
        logger.warning("the mail server %s cannot be used: %s: %s", server.name, type(error).__name__, why)
        away = (ServerFull if _turned_away(error) else MailServerAway)(
            f"The mail server did not take the message ({type(error).__name__})."
        )
        if isinstance(away, ServerFull):
            away.answered = isinstance(error, SMTPResponseException)
        raise away from error
    except BaseException:
        client.close()
        raise
    return MailConnection(client, step_seconds)


def _require_privacy(server: SmtpServer) -> None:
    if server.scheme == "smtp" and server.username is not None and not _is_loopback(server.host):
        raise SMTPException("a password is only sent over TLS: use smtp+starttls:// or smtps://")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _turned_away(error: BaseException) -> bool:
    if isinstance(error, SMTPResponseException):
        return 400 <= error.code < 500  # noqa: PLR2004 - "for now", RFC 5321, 4.2.1
    return isinstance(error, (ConnectionRefusedError, ConnectionResetError, aiosmtplib.SMTPConnectError)) and not (
        isinstance(error, TimeoutError)
    )
