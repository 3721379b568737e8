"""What the feeds of this process watch: jobs by their ids, owners as a whole, and what has been told of them so far."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from api.job_feeds import Feed, Reason
from api.job_frames import Frame
from shared.job_events import EventHead
from shared.job_state import JobState


@dataclass(slots=True)
class WatchedJob:
    """Is a job that feeds name. All of them were given `version`, or have read a newer one themselves."""

    feeds: set[Feed] = field(default_factory=set)
    version: int = 0
    done: bool = False


@dataclass(slots=True)
class Told:
    """Is what was last told of a job; `round` says in which round of looks that was."""

    version: int
    running: bool
    round: int


@dataclass(slots=True)
class WatchedOwner:
    """Is an owner of whose jobs feeds want more than they name.

    `since` is a transaction: whatever an earlier one changed was told already. None until the first look.
    """

    feeds: set[Feed] = field(default_factory=set)
    since: int | None = None
    told: dict[UUID, Told] = field(default_factory=dict)
    round: int = 0

    def note(self, frame: Frame) -> bool:
        """Note that a frame is told; False where that version was already."""
        told = self.told.get(frame.job_id)
        if told is not None and told.version >= frame.version:
            return False
        self.told[frame.job_id] = Told(frame.version, frame.state == JobState.RUNNING, self.round)
        return True

    def recall(self, job_id: UUID) -> int:
        """Give the version of a job that was told, 0 for none, and remember it for this round."""
        told = self.told.get(job_id)
        if told is None:
            return 0
        told.round = self.round
        return told.version

    def end_round(self) -> None:
        """Forget what neither runs nor has changed of late: it would only be read once more for nothing."""
        self.told = {job_id: told for job_id, told in self.told.items() if told.running or told.round >= self.round}
        self.round += 1


class Watched:
    """Keeps which feeds want what, and gives each new frame to those that want it.

    `anything` is set as soon as somebody wants something; `new_owners` are those of whom other processes have to hear.
    """

    def __init__(self) -> None:
        self.jobs: dict[UUID, WatchedJob] = {}
        self.owners: dict[UUID, WatchedOwner] = {}
        self.new_owners: set[UUID] = set()
        self.on_new_owner: Callable[[], None] | None = None
        self.anything = asyncio.Event()
        self._feeds: set[Feed] = set()
        self._feeds_of: Counter[UUID] = Counter()

    def open(self, owner_id: UUID, only: UUID | None = None) -> Feed:
        """Begin a feed."""
        feed = Feed(owner_id, self, only)
        self._feeds.add(feed)
        self._feeds_of[owner_id] += 1
        return feed

    def close(self, feed: Feed) -> None:
        """End a feed."""
        feed.close()
        self._feeds.discard(feed)
        self._feeds_of[feed.owner_id] -= 1
        if not self._feeds_of[feed.owner_id]:
            del self._feeds_of[feed.owner_id]

    def let_all_go(self, reason: Reason) -> None:
        """End all feeds there are."""
        for feed in [*self._feeds]:
            feed.let_go(reason)

    def add_job(self, feed: Feed, job_id: UUID) -> None:
        """Note that a feed wants a job."""
        self.jobs.setdefault(job_id, WatchedJob()).feeds.add(feed)
        self.anything.set()

    def remove_job(self, feed: Feed, job_id: UUID) -> None:
        """Note that a feed no longer wants a job."""
        job = self.jobs.get(job_id)
        if job is not None:
            job.feeds.discard(feed)
            if not job.feeds:
                del self.jobs[job_id]

    def add_owner(self, feed: Feed) -> None:
        """Note that a feed wants jobs of its owner that it does not name."""
        owner = self.owners.get(feed.owner_id)
        if owner is None:
            owner = self.owners[feed.owner_id] = WatchedOwner()
            self.new_owners.add(feed.owner_id)
            if self.on_new_owner is not None:
                self.on_new_owner()
        owner.feeds.add(feed)
        self.anything.set()

    def remove_owner(self, feed: Feed) -> None:
        """Note that a feed wants only jobs that it names."""
        owner = self.owners.get(feed.owner_id)
        if owner is not None:
            owner.feeds.discard(feed)
            if not owner.feeds:
                del self.owners[feed.owner_id]
                self.new_owners.discard(feed.owner_id)

    def note_since(self, owner_id: UUID, transaction: int) -> None:
        """Have looks begin at this transaction at the latest, because a snapshot was read that shows all before it."""
        owner = self.owners.get(owner_id)
        if owner is not None:
            owner.since = transaction if owner.since is None else min(owner.since, transaction)

    def is_news(self, head: EventHead) -> bool:
        """Tell whether anybody here wants a change and was not told of it: most changes concern nobody."""
        job = self.jobs.get(head.job_id)
        if job is not None and job.version < head.version:
            return True
        owner = self.owners.get(head.owner_id)
        if owner is None:
            return False
        told = owner.told.get(head.job_id)
        return told is None or told.version < head.version

    def deliver_news(self, frame: Frame) -> None:
        """Give a frame to all who want it, if it is newer than what they were given."""
        job = self.jobs.get(frame.job_id)
        if job is not None and job.version < frame.version:
            job.version, job.done = frame.version, frame.done
            for feed in job.feeds:
                feed.offer(frame)
            if frame.done:
                # Only now: waking a task takes as long as telling a client, and the last one would wait for both.
                for feed in job.feeds:
                    feed.end_if_told()
        owner = self.owners.get(frame.owner_id)
        if owner is not None and owner.note(frame):
            for feed in owner.feeds:
                feed.offer(frame)

    def lose(self, job_id: UUID) -> None:
        """Note that a job is no more."""
        job = self.jobs.get(job_id)
        for feed in [*job.feeds] if job is not None else []:
            feed.unwatch_jobs([job_id])
            if feed.only == job_id:
                feed.let_go("gone")
        for owner in self.owners.values():
            owner.told.pop(job_id, None)

    def jobs_of(self, owner_ids: Iterable[UUID]) -> list[UUID]:
        """Name the jobs that feeds of these owners name."""
        owners = {owner_id for owner_id in owner_ids if owner_id in self._feeds_of}
        if not owners:
            return []
        return [
            job_id
            for job_id, job in self.jobs.items()
            if not job.done and any(feed.owner_id in owners for feed in job.feeds)
        ]
