"""When a delivery is tried again, and how long an endpoint rests that fails."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Source: Standard Webhooks, "Deliverability and reliability", its example schedule (a first attempt, then these).
PAUSES = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
    timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
MOST_ATTEMPTS = len(PAUSES) + 1
LONGEST_RETRY_AFTER = timedelta(hours=24)
_JITTER = 0.1
_MOST_DIGITS = 9


def pause_after(attempts: int, retry_after: timedelta | None) -> timedelta:
    """Give the pause after so many failed attempts, give or take a tenth; no shorter than what the receiver asks."""
    pause = PAUSES[min(attempts, len(PAUSES)) - 1] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, guards nothing
    return max(pause, retry_after) if retry_after is not None else pause


def parse_retry_after(value: str | None, now: datetime | None = None) -> timedelta | None:
    """Read `Retry-After`, seconds or a date (RFC 9110, section 10.2.3), bounded to a day; None for anything else."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        wanted = timedelta(seconds=int(text[:_MOST_DIGITS]))
    else:
        try:
            wanted = parsedate_to_datetime(text).astimezone(UTC) - (now or datetime.now(UTC))
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wanted, timedelta(0)), LONGEST_RETRY_AFTER)


def spread(seconds: float) -> timedelta:
    """Put off by so many seconds and up to a tenth, or a second, more, so that a crowd does not come back as one."""
    return timedelta(seconds=seconds + random.uniform(0, max(1.0, seconds / 10)))  # noqa: S311 - as above
