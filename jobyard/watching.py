"""Watching all jobs of the account: by the stream of their events, else by asking for what lives and what has ended.

The stream begins anew after a broken connection, with the jobs that live then; of those that were known to live
before, the others have ended meanwhile, and are asked for by their ids.
"""

from collections.abc import Iterable, Sequence

from jobyard.errors import ConnectionFailed
from jobyard.exchange import pages, query_of
from jobyard.flows import Item, Opened, Query, Stream, close, each, read_piece, sleep
from jobyard.following import (
    FIRST_SECONDS,
    SILENCE_SECONDS,
    StreamNotUsable,
    give_up_streams,
    job_of,
    open_stream,
)
from jobyard.models import Job
from jobyard.retries import AWAY, pause, rest
from jobyard.session import Session
from jobyard.sse import EventReader

LOOK_SECONDS = 2.0
LIVE = ("scheduled", "queued", "running", "retrying")

MOST_FAILURES = 30
"""One after the other, with pauses of up to 20 s: a server that is away for longer is not waited for."""
_MOST_IDS = 100


class Seen:
    """Knows the jobs that were alive when last heard of, and their versions."""

    def __init__(self) -> None:
        self.live: dict[str, int] = {}

    def take(self, job: Job) -> bool:
        """Take a state in; True when it is news. One that has ended is told once, and forgotten."""
        if job.version <= self.live.get(job.id, 0):
            return False
        if job.done:
            self.live.pop(job.id, None)
        else:
            self.live[job.id] = job.version
        return True


def watch(session: Session, kinds: Sequence[str], tags: Sequence[str]) -> Stream[Job]:
    """Give the live jobs, then each change of any job, without end; raises what `Jobyard.jobs.watch` says."""
    seen, failures = Seen(), 0
    query = query_of(kind=kinds, tag=tags)
    while True:
        try:
            if session.streams_work is not False:
                yield from _by_stream(session, query, seen)
            else:
                yield from _look(session, query, seen)
                yield from sleep(LOOK_SECONDS)
            failures = 0
        except StreamNotUsable:
            """From now on by asking."""
        except AWAY as error:
            if failures >= MOST_FAILURES:
                raise
            yield from rest(error, failures)
            failures += 1


def _by_stream(session: Session, query: Query, seen: Seen) -> Stream[Job]:
    seconds = SILENCE_SECONDS if session.streams_work else FIRST_SECONDS
    opened = yield from open_stream(session, "/v1/events", query, 0, seconds)
    before = set(seen.live)
    yield from _ask_for(session, before, seen)
    yield from _read(session, opened, seen, seconds, before & seen.live.keys())


def _read(session: Session, opened: Opened, seen: Seen, seconds: float, unsure: set[str]) -> Stream[Job]:
    reader = EventReader()
    while True:
        try:
            piece = yield from read_piece(opened)
        except ConnectionFailed as error:
            if not error.timed_out:
                raise
            give_up_streams(session, seconds, error)
            return
        if piece is None:
            break
        session.streams_work = True
        for event in reader.feed(piece):
            if (job := job_of(event)) is not None:
                unsure.discard(job.id)
                if seen.take(job):
                    yield Item(job)
        if unsure:
            # Once more now that the stream runs: these may have ended after they were asked for, and before it began.
            yield from _ask_for(session, unsure, seen)
            unsure = set()
    yield from close(opened)
    yield from sleep(pause(0))


def _look(session: Session, query: Query, seen: Seen) -> Stream[Job]:
    before, found = set(seen.live), list[Job]()
    yield from each(pages(session, "/v1/jobs", Job, [*query, *query_of(state=LIVE)]), found.append)
    for job in found:
        if seen.take(job):
            yield Item(job)
    yield from _ask_for(session, before - {job.id for job in found}, seen)


def _ask_for(session: Session, ids: Iterable[str], seen: Seen) -> Stream[Job]:
    wanted = sorted(ids)
    for start in range(0, len(wanted), _MOST_IDS):
        asked, found = wanted[start : start + _MOST_IDS], list[Job]()
        yield from each(pages(session, "/v1/jobs", Job, query_of(id=asked)), found.append)
        for job in found:
            if seen.take(job):
                yield Item(job)
        for gone in set(asked) - {job.id for job in found}:
            seen.live.pop(gone, None)
