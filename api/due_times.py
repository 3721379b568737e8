"""The times that clients name for work to be done."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

LONGEST_DELAY = timedelta(days=366)


def _due(moment: datetime) -> datetime | None:
    now = datetime.now(UTC)
    if moment > now + LONGEST_DELAY:
        raise ValueError("must be within a year")
    return moment if moment > now else None


DueTime = Annotated[AwareDatetime, AfterValidator(_due)]
"""A time within a year. One that has passed becomes None, which means now: the first ones cannot be stored."""
