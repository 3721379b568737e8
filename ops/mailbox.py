"""`python -m ops.mailbox`: a mail server for development that delivers everything into one Maildir."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP

from shared.settings import get_settings

_DIRECTORY = "JOBYARD_MAILBOX_DIR"
_LARGEST_MESSAGE = 50 * 1024 * 1024


async def serve(host: str, port: int, directory: str) -> None:
    """Take mail for anybody on `host:port` until SIGTERM or SIGINT. Raises OSError when the port is taken."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    mailbox = Mailbox(Path(directory))

    def make_session() -> SMTP:
        # A given host name spares a look-up in the DNS, which can take long.
        return SMTP(mailbox, data_size_limit=_LARGEST_MESSAGE, enable_SMTPUTF8=True, hostname="localhost", loop=loop)

    server = await loop.create_server(make_session, host, port)
    print(f"mail for {host}:{port} goes to {directory}", flush=True)
    await stopped.wait()
    # Not waited for: a client that keeps its connection open would hold up the end.
    server.close()


def main() -> int:
    """Serve on the address of SMTP_URL, into JOBYARD_MAILBOX_DIR."""
    directory = os.environ.get(_DIRECTORY, "")
    if not directory:
        print(f"{_DIRECTORY}: must name the directory for the mail", file=sys.stderr)
        return 1
    address = urlsplit(get_settings().smtp_url)
    try:
        asyncio.run(serve(address.hostname or "127.0.0.1", address.port or 25, directory))
    except OSError as error:
        print(f"mailbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
