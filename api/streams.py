"""Opening streams of server-sent events: one job's, and all of an owner's."""

import contextlib
import re
from collections.abc import Sequence
from uuid import UUID

from fastapi import Response

from api.event_streams import EventStream
from api.job_responses import read_frame
from api.job_snapshots import read_live_jobs
from api.resources import Resources
from api.tokens import Caller

MOST_LIVE_JOBS = 1000
_VERSION = re.compile(r"[0-9]{1,18}")


async def open_job_stream(resources: Resources, caller: Caller, job_id: UUID, last_event_id: str | None) -> Response:
    """Tell of one job until it is done; raises `JobNotFound`, `TooManyStreams`.

    A client that already knows the job's end gets 204, which makes browsers stop asking. A `Last-Event-ID` that is no
    version this job has had is ignored.
    """
    with contextlib.ExitStack() as opening:
        opening.enter_context(resources.stream_places.hold(caller.user_id))
        feed = opening.enter_context(resources.changes.watch(caller.user_id, job_id))
        frame = await read_frame(resources, caller.user_id, job_id)
        known = int(last_event_id) if last_event_id and _VERSION.fullmatch(last_event_id) else 0
        if known >= frame.version and frame.done:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        if known <= frame.version:
            feed.resume_after(job_id, known)
        feed.put(frame)
        return EventStream(resources.settings, feed, caller.expires_at, opening.pop_all(), None)


async def open_owner_stream(
    resources: Resources, caller: Caller, kinds: Sequence[str], tags: Sequence[str]
) -> EventStream:
    """Tell of all of an owner's jobs of any of these kinds, with all of these tags; raises `TooManyStreams`.

    It begins with those that are not done, the newest thousand at most.
    """
    with contextlib.ExitStack() as opening:
        opening.enter_context(resources.stream_places.hold(caller.user_id))
        feed = opening.enter_context(resources.changes.feed(caller.user_id))
        feed.watch_all(kinds, tags)
        pages = read_live_jobs(resources, caller.user_id, kinds, tags, MOST_LIVE_JOBS)
        # Before the answer begins: without a database it is to be a problem.
        for frame in await anext(pages, []):
            feed.put(frame)
        return EventStream(resources.settings, feed, caller.expires_at, opening.pop_all(), pages)
