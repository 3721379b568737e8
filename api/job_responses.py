"""How a job is answered: ETag, Retry-After, Location, and `Prefer: wait` (RFC 7240) without a connection held."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Response

from api.job_changes import Waiter
from api.resources import Resources
from shared.errors import JobNotFound
from shared.job_events import encode_frame
from shared.job_queue import read_job
from shared.job_row import JobRow
from shared.job_state import JobState

LONGEST_WAIT_SECONDS = 30
_LONGEST_RETRY_AFTER_SECONDS = 60
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?(?=$|[,;\s])', re.IGNORECASE)


def parse_wait(prefer: str | None) -> int | None:
    """Read how many seconds a `Prefer` header would wait; one that cannot be read is ignored, as RFC 7240 says."""
    found = _WAIT.search(prefer) if prefer else None
    return min(int(found.group(1)), LONGEST_WAIT_SECONDS) if found else None


async def preferred_wait(
    prefer: Annotated[
        str | None,
        Header(description=f"`wait=N`: wait up to N seconds, {LONGEST_WAIT_SECONDS} at most.", examples=["wait=10"]),
    ] = None,
) -> int | None:
    """Read the header as a dependency."""
    return parse_wait(prefer)


WaitDep = Annotated[int | None, Depends(preferred_wait)]


def retry_after(row: JobRow) -> str | None:
    """Tell in how many seconds a client should ask again; None when the job is done."""
    if row.done:
        return None
    if row.state in {JobState.SCHEDULED, JobState.RETRYING}:
        seconds = (row.run_at - datetime.now(UTC)).total_seconds()
        return str(min(max(1, round(seconds)), _LONGEST_RETRY_AFTER_SECONDS))
    return "1"


def job_response(
    row: JobRow,
    retention: timedelta,
    *,
    status: int = 200,
    wait: int | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with a job."""
    made = {"ETag": etag(row), **(headers or {})}
    if (seconds := retry_after(row)) is not None:
        made["Retry-After"] = seconds
    if wait is not None:
        made["Preference-Applied"] = f"wait={wait}"
    return Response(encode_frame(row, retention), status, made, "application/json")


def etag(row: JobRow) -> str:
    """Give the ETag of a row: its version."""
    return f'"{row.version}"'


def matches(if_none_match: str | None, row: JobRow) -> bool:
    """Tell whether the client has this version (RFC 9110, section 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return "*" in known or etag(row) in known


async def read(resources: Resources, owner_id: UUID, job_id: UUID) -> JobRow:
    """Read an owner's job; raises `JobNotFound`."""
    async with resources.ledger.connection() as connection:
        row = await read_job(connection, owner_id, job_id)
    if row is None:
        raise JobNotFound("No such job.")
    return row


async def wait_until_done(resources: Resources, row: JobRow, seconds: int) -> JobRow:
    """Wait for a job's end, up to so many seconds; gives its newest row."""
    with resources.changes.watch(row.id) as waiter:
        return await _wait(resources, waiter, row, seconds, lambda newest: newest.done)


async def answer_reading(
    resources: Resources, owner_id: UUID, job_id: UUID, wait: int | None, if_none_match: str | None
) -> Response:
    """Answer a request for a job, after waiting if the client prefers to; raises `JobNotFound`."""
    if wait is None:
        row = await read(resources, owner_id, job_id)
    else:
        row = await read_and_wait(resources, owner_id, job_id, wait, if_none_match)
    if matches(if_none_match, row):
        return Response(status_code=304, headers={"ETag": etag(row)})
    return job_response(row, resources.job_retention, wait=wait)


async def read_and_wait(
    resources: Resources, owner_id: UUID, job_id: UUID, seconds: int, if_none_match: str | None
) -> JobRow:
    """Wait for a job's end, or with `If-None-Match` for the first version that the client does not have."""
    with resources.changes.watch(job_id) as waiter:
        row = await read(resources, owner_id, job_id)
        if if_none_match is None:
            return await _wait(resources, waiter, row, seconds, lambda newest: newest.done)
        return await _wait(
            resources, waiter, row, seconds, lambda newest: newest.done or not matches(if_none_match, newest)
        )


async def _wait(
    resources: Resources, waiter: Waiter, row: JobRow, seconds: int, enough: Callable[[JobRow], bool]
) -> JobRow:
    try:
        async with asyncio.timeout(seconds):
            waiting = True
            while waiting and not enough(row):
                waiting = await waiter.changed_since(row.version)
                row = await read(resources, row.owner_id, row.id)
    except TimeoutError:
        pass
    return row
