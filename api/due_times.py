"""The times that clients name."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

LONGEST_DELAY = timedelta(days=366)

_BEGINNING = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def _require_text(value: object) -> object:
    if not isinstance(value, str) or not _BEGINNING.match(value):
        raise PydanticCustomError("datetime_parsing", "Should be a date and time such as 2026-11-24T12:00:00Z.")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_require_text)]
"""A time with its offset (RFC 3339); the library alone would also take seconds since 1970, as number or text."""


def _due(moment: datetime) -> datetime | None:
    now = datetime.now(UTC)
    if moment > now + LONGEST_DELAY:
        raise ValueError("must be within a year")
    return moment if moment > now else None


DueTime = Annotated[Moment, AfterValidator(_due)]
"""A time within a year. One that has passed becomes None, which means now: the first ones cannot be stored."""
