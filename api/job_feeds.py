"""Feeds: what one client wants to be told of, and the frames that wait for it.

A feed gives of each job only versions newer than the one before, whatever order they come in. Frames that wait while
the client is slow are merged: of one state only the newest is kept, different states stay in order. So what waits is
bounded by the number of jobs that are watched.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from api.job_frames import Frame

MOST_STATES_WAITING = 8
"""Of one job; beyond that the newest takes the place of the one before."""
MOST_JOBS_WAITING = 10_000
MOST_BYTES_WAITING = 16 * 1024 * 1024
"""A feed in which more waits is let go: its client does not keep up."""
ENDED_REMEMBERED = 1024
"""Late news may still come of so many jobs that have ended; of older ones none is expected."""

Reason = Literal["stopping", "gone", "slow", "disconnected", "unavailable", "told"]
"""Why a feed was let go: the server stops, its one job is no more, too much waited, the client went away, the ledger
did, the end of its one job was told."""


class Watching(Protocol):
    """Is told which jobs and owners a feed watches."""

    def add_job(self, feed: "Feed", job_id: UUID) -> None:
        """Note that a feed wants a job."""
        ...

    def remove_job(self, feed: "Feed", job_id: UUID) -> None:
        """Note that a feed no longer wants a job."""
        ...

    def add_owner(self, feed: "Feed") -> None:
        """Note that a feed wants jobs of its owner that it does not name."""
        ...

    def remove_owner(self, feed: "Feed") -> None:
        """Note that a feed wants only jobs that it names."""
        ...

    def deliver_news(self, frame: Frame) -> None:
        """Give a frame to all who want it, if it is newer than what they were given."""
        ...


@dataclass(frozen=True, slots=True)
class _All:
    kinds: frozenset[str]
    tags: frozenset[str]

    def covers(self, frame: Frame) -> bool:
        kind_is_wanted = frame.kind in self.kinds if self.kinds else not frame.silent
        return kind_is_wanted and self.tags <= frame.tags


class Feed:
    """Is what one client wants of one owner's jobs, and the frames that wait for it; see the module.

    Silent jobs are only told to who names their id, or their kind. `only` is the one job that it is about: when that is
    deleted the feed is let go.

    `direct` writes a frame to the client at once and gives True, or False where it has to wait: with hundreds of
    clients, waking each one's task takes longer than all the rest. It is only asked while nothing waits.
    """

    __slots__ = (
        "_all",
        "_bytes",
        "_ended",
        "_jobs",
        "_newest",
        "_news",
        "_tags",
        "_waiting",
        "_watching",
        "direct",
        "on_let_go",
        "only",
        "owner_id",
        "reason",
    )  # fmt: skip

    def __init__(self, owner_id: UUID, watching: Watching, only: UUID | None = None) -> None:
        self.owner_id = owner_id
        self.only = only
        self.reason: Reason | None = None
        self.on_let_go: Callable[[Reason], None] | None = None
        self.direct: Callable[[Frame], bool] | None = None
        self._watching = watching
        self._jobs: set[UUID] = set()
        self._tags: set[str] = set()
        self._all: _All | None = None
        self._newest: dict[UUID, int] = {}
        self._ended: deque[UUID] | None = None
        self._waiting: dict[UUID, list[Frame]] = {}
        self._bytes = 0
        self._news = asyncio.Event()

    def watch_jobs(self, job_ids: Iterable[UUID]) -> None:
        """Want these jobs; begin before reading them, or a change in between is missed."""
        for job_id in job_ids:
            self._jobs.add(job_id)
            self._watching.add_job(self, job_id)

    def unwatch_jobs(self, job_ids: Iterable[UUID]) -> None:
        """Want these jobs no longer by their ids."""
        for job_id in job_ids:
            self._jobs.discard(job_id)
            self._watching.remove_job(self, job_id)
            if not self._wants_others:
                self._forget(job_id)

    def watch_tags(self, tags: Iterable[str]) -> None:
        """Want the owner's jobs that have any of these tags; begin before reading them."""
        self._tags.update(tags)
        self._note_owner()

    def unwatch_tags(self, tags: Iterable[str]) -> None:
        """Want the jobs with these tags no longer for them."""
        self._tags.difference_update(tags)
        self._note_owner()

    def watch_all(self, kinds: Iterable[str] = (), tags: Iterable[str] = ()) -> None:
        """Want all of the owner's jobs of any of these kinds, with all of these tags; begin before reading them."""
        self._all = _All(frozenset(kinds), frozenset(tags))
        self._note_owner()

    def unwatch_all(self) -> None:
        """Take `watch_all` back."""
        self._all = None
        self._note_owner()

    def resume_after(self, job_id: UUID, version: int) -> None:
        """Want only versions of a job that are newer than this one, which the client has."""
        self._newest[job_id] = version

    def put(self, frame: Frame) -> None:
        """Give the client a frame that was read for it, unless it has that version or a newer one."""
        self._watching.deliver_news(frame)
        self._take_in(frame)

    def offer(self, frame: Frame) -> None:
        """Take a frame in if the client wants it and does not have it."""
        if frame.owner_id == self.owner_id and self._wants(frame):
            self._take_in(frame)

    async def take(self) -> list[Frame]:
        """Wait for a frame, then give all that wait; nothing once the feed was let go: then `reason` says why."""
        while not self._waiting:
            if self.reason is not None:
                return []
            self._news.clear()
            await self._news.wait()
        return self.take_waiting()

    def take_waiting(self) -> list[Frame]:
        """Give the frames that wait, if any do."""
        taken = [frame for frames in self._waiting.values() for frame in frames]
        self._waiting.clear()
        self._bytes = 0
        return taken

    def let_go(self, reason: Reason) -> None:
        """End the feed: what waits may still be taken, unless it is too much."""
        if self.reason is not None:
            return
        self.reason = reason
        if reason == "slow":
            self._waiting.clear()
        self._news.set()
        if self.on_let_go is not None:
            self.on_let_go(reason)

    def end_if_told(self) -> None:
        """End a feed of one job whose end was written to the client at once, so that nobody will take it."""
        if self.only is not None and not self._waiting:
            self.let_go("told")

    def close(self) -> None:
        """Want nothing any more."""
        for job_id in self._jobs:
            self._watching.remove_job(self, job_id)
        self._watching.remove_owner(self)

    @property
    def _wants_others(self) -> bool:
        return self._all is not None or bool(self._tags)

    def _note_owner(self) -> None:
        if self._wants_others:
            self._watching.add_owner(self)
        else:
            self._watching.remove_owner(self)
            for job_id in self._newest.keys() - self._jobs:
                self._forget(job_id)

    def _forget(self, job_id: UUID) -> None:
        # Who subscribes again gets the job again, although it has not changed.
        self._newest.pop(job_id, None)
        for frame in self._waiting.pop(job_id, ()):
            self._bytes -= len(frame.json)

    def _wants(self, frame: Frame) -> bool:
        if frame.job_id in self._jobs:
            return True
        if not frame.silent and not self._tags.isdisjoint(frame.tags):
            return True
        return self._all is not None and self._all.covers(frame)

    def _take_in(self, frame: Frame) -> None:
        job_id = frame.job_id
        if self.reason is not None or frame.version <= self._newest.get(job_id, 0):
            return
        self._newest[job_id] = frame.version
        if frame.done and self.only is None:
            self._remember_ended(job_id)
        if not self._waiting and self.direct is not None and self.direct(frame):
            return
        waiting = self._waiting.setdefault(job_id, [])
        if waiting and (waiting[-1].state == frame.state or len(waiting) >= MOST_STATES_WAITING):
            self._bytes -= len(waiting.pop().json)
        waiting.append(frame)
        self._bytes += len(frame.json)
        if self._bytes > MOST_BYTES_WAITING or len(self._waiting) > MOST_JOBS_WAITING:
            self.let_go("slow")
        self._news.set()

    def _remember_ended(self, job_id: UUID) -> None:
        if self._ended is None:
            self._ended = deque()
        self._ended.append(job_id)
        if len(self._ended) > ENDED_REMEMBERED:
            self._newest.pop(self._ended.popleft(), None)
