"""How a job is answered: ETag, Retry-After, Location, and `Prefer: wait` (RFC 7240) without a connection held."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Response

from api.job_feeds import Feed
from api.job_frames import Frame, frame_of
from api.resources import Resources
from shared.errors import JobNotFound
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


def retry_after(frame: Frame) -> str | None:
    """Tell in how many seconds a client should ask again; None when the job is done."""
    if frame.done:
        return None
    if frame.state in {JobState.SCHEDULED, JobState.RETRYING}:
        seconds = (frame.run_at - datetime.now(UTC)).total_seconds()
        return str(min(max(1, round(seconds)), _LONGEST_RETRY_AFTER_SECONDS))
    return "1"


def job_response(
    frame: Frame, *, status: int = 200, wait: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Answer with a job."""
    made = {"ETag": etag(frame), **(headers or {})}
    if (seconds := retry_after(frame)) is not None:
        made["Retry-After"] = seconds
    if wait is not None:
        made["Preference-Applied"] = f"wait={wait}"
    return Response(frame.json, status, made, "application/json")


def etag(frame: Frame) -> str:
    """Give the ETag of a job: its version."""
    return f'"{frame.version}"'


def matches(if_none_match: str | None, frame: Frame) -> bool:
    """Tell whether the client has this version (RFC 9110, section 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return "*" in known or etag(frame) in known


async def read(resources: Resources, owner_id: UUID, job_id: UUID) -> JobRow:
    """Read an owner's job; raises `JobNotFound`."""
    async with resources.ledger.connection() as connection:
        row = await read_job(connection, owner_id, job_id)
    if row is None:
        raise JobNotFound("No such job.")
    return row


async def read_frame(resources: Resources, owner_id: UUID, job_id: UUID) -> Frame:
    """Read an owner's job as its frame; raises `JobNotFound`."""
    return frame_of(await read(resources, owner_id, job_id), resources.job_retention)


async def wait_until_done(resources: Resources, frame: Frame, seconds: int) -> Frame:
    """Wait for a job's end, up to so many seconds; gives its newest frame, and raises `JobNotFound` once it is gone."""
    with resources.changes.watch(frame.owner_id, frame.job_id) as feed:
        return await _wait(feed, frame, seconds, lambda newest: newest.done)


async def answer_reading(
    resources: Resources, owner_id: UUID, job_id: UUID, wait: int | None, if_none_match: str | None
) -> Response:
    """Answer a request for a job, after waiting if the client prefers to; raises `JobNotFound`."""
    if wait is None:
        frame = await read_frame(resources, owner_id, job_id)
    else:
        frame = await read_and_wait(resources, owner_id, job_id, wait, if_none_match)
    if matches(if_none_match, frame):
        return Response(status_code=304, headers={"ETag": etag(frame)})
    return job_response(frame, wait=wait)


async def read_and_wait(
    resources: Resources, owner_id: UUID, job_id: UUID, seconds: int, if_none_match: str | None
) -> Frame:
    """Wait for a job's end, or with `If-None-Match` for the first version that the client does not have.

    Raises `JobNotFound`, also once the job is gone.
    """
    with resources.changes.watch(owner_id, job_id) as feed:
        frame = await read_frame(resources, owner_id, job_id)
        if if_none_match is None:
            return await _wait(feed, frame, seconds, lambda newest: newest.done)
        return await _wait(feed, frame, seconds, lambda newest: newest.done or not matches(if_none_match, newest))


async def _wait(feed: Feed, frame: Frame, seconds: int, enough: Callable[[Frame], bool]) -> Frame:
    newest = frame
    feed.put(frame)
    try:
        async with asyncio.timeout(seconds):
            while frames := await feed.take():
                newest = frames[-1]
                if found := next(filter(enough, frames), None):
                    return found
    except TimeoutError:
        pass
    if feed.reason == "gone":
        raise JobNotFound("No such job.")
    return newest
