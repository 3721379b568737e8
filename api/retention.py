"""How long files are kept: as the settings say, or as their owner asks within bounds."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Query

from api.deps import ResourcesDep
from shared.errors import JobyardError
from shared.settings import Settings

SHORTEST_SECONDS = 60
_LONGEST_SECONDS = 36_500 * 86_400
"""More than any setting allows; what this installation allows is told by `GET /v1/limits`."""

ExpiresIn = Annotated[int, Query(ge=SHORTEST_SECONDS, le=_LONGEST_SECONDS)]


class RetentionNotAllowed(JobyardError):
    """Is raised when a file should be kept for longer, or for less long, than allowed."""

    status = 422
    code = "retention_not_allowed"
    title = "Invalid input"


def require_allowed(settings: Settings, retention: timedelta, pointer: str) -> timedelta:
    """Make sure that a file may be kept for so long from now on, and give that; raises `RetentionNotAllowed`."""
    if not timedelta(seconds=SHORTEST_SECONDS) <= retention <= settings.longest_retention:
        longest = int(settings.longest_retention.total_seconds())
        raise RetentionNotAllowed(f"A file is kept for {SHORTEST_SECONDS} to {longest} seconds.", pointer=pointer)
    return retention


async def read_retention(
    resources: ResourcesDep,
    expires_in: Annotated[
        ExpiresIn | None,
        Query(
            description="Delete what is sent along after so many seconds, from 60 to the longest that `/v1/limits` "
            "tells. Default: the setting for uploads.",
            examples=[86400],
        ),
    ] = None,
) -> timedelta:
    """Read how long an upload is to be kept; raises `RetentionNotAllowed`."""
    if expires_in is None:
        return resources.settings.upload_retention
    return require_allowed(resources.settings, timedelta(seconds=expires_in), "query/expires_in")


RetentionDep = Annotated[timedelta, Depends(read_retention)]
