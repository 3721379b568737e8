"""Logging: one line an event on standard error, with what it is about; never a secret."""

import logging
import re
import sys

from shared.settings import Settings

_CREDENTIALS = re.compile(r"(://[^/\s:@]*):[^@\s/]+@")
_SIGNATURE = re.compile(r"(?i)\b((?:signature|ticket)=)[\w%.~-]+")
_UNSUBSCRIBE = re.compile(r"(/v1/unsubscribe/)[\w%.~-]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")


_NOISY = (
    "kombu", "amqp", "celery.app.trace", "celery.worker.strategy", "PIL", "aiosmtplib", "alembic.runtime.plugins",
    "httpx2",
)  # fmt: skip


class RedactingFormatter(logging.Formatter):
    """Formats as usual, then blanks secrets in URLs and credentials in headers, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record without its secrets."""
        text = _UNSUBSCRIBE.sub(r"\1***", _SIGNATURE.sub(r"\1***", super().format(record)))
        return _BEARER.sub(r"\1 ***", _CREDENTIALS.sub(r"\1:***@", text))


def configure_logging(settings: Settings) -> None:
    """Send this process's log to standard error at the level that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    # The access log of uvicorn and Celery's own task lines would say everything twice.
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
