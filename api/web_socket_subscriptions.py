"""What one WebSocket is subscribed to: jobs by their ids, tags (rooms), all jobs of its owner."""

from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from api.job_feeds import Feed
from api.job_frames import Frame
from api.job_snapshots import read_jobs, read_live_jobs
from api.resources import Resources
from api.streams import MOST_LIVE_JOBS
from api.web_socket_messages import MOST_JOBS, MOST_TAGS, Subscribe, Subscriptions, Unsubscribe
from shared.errors import JobNotFound, JobyardError


class TooManySubscriptions(JobyardError):
    """Is raised when a connection would be subscribed to more than allowed."""

    status = 409
    code = "too_many_subscriptions"
    title = "Too many subscriptions"


class LedgerAway(JobyardError):
    """Is raised when PostgreSQL does not answer."""

    status = 503
    code = "database_unavailable"
    title = "Service unavailable"


class ConnectionSubscriptions:
    """Keeps what a connection is subscribed to, and has its feed watch that."""

    def __init__(self, resources: Resources, feed: Feed) -> None:
        self._resources = resources
        self._feed = feed
        self._jobs: dict[UUID, None] = {}
        self._tags: dict[str, None] = {}
        self._kinds: list[str] | None = None

    def describe(self) -> Subscriptions:
        """Tell what the connection is subscribed to."""
        return Subscriptions(
            jobs=list(self._jobs), tags=list(self._tags), all=self._kinds is not None, kinds=self._kinds or []
        )

    async def subscribe(self, wanted: Subscribe) -> list[Frame]:
        """Subscribe to all that is wanted and give the jobs as they are, or subscribe to nothing of it.

        Raises `JobNotFound`, which points to each id that is unknown or another owner's, `TooManySubscriptions` and
        `LedgerAway`.
        """
        jobs = [job_id for job_id in dict.fromkeys(wanted.jobs) if job_id not in self._jobs]
        tags = [tag for tag in dict.fromkeys(wanted.tags) if tag not in self._tags]
        if len(self._jobs) + len(jobs) > MOST_JOBS or len(self._tags) + len(tags) > MOST_TAGS:
            raise TooManySubscriptions(f"A connection has at most {MOST_JOBS} jobs and {MOST_TAGS} tags.")
        # Watched before they are read, or a change in between would be missed.
        self._feed.watch_jobs(jobs)
        self._feed.watch_tags(tags)
        if wanted.all:
            self._feed.watch_all(wanted.kinds)
        try:
            frames = await self._read(wanted, jobs, tags)
        except BaseException as error:
            self._take_back(wanted, jobs, tags)
            if isinstance(error, psycopg.Error | PoolTimeout):
                raise LedgerAway("The service cannot reach its database; try again later.") from error
            raise
        self._jobs |= dict.fromkeys(jobs)
        self._tags |= dict.fromkeys(tags)
        if wanted.all:
            self._kinds = list(wanted.kinds)
        return frames

    def unsubscribe(self, unwanted: Unsubscribe) -> None:
        """Take subscriptions back; what there is no subscription to is left alone."""
        jobs = [job_id for job_id in unwanted.jobs if self._jobs.pop(job_id, self) is None]
        tags = [tag for tag in unwanted.tags if self._tags.pop(tag, self) is None]
        self._feed.unwatch_jobs(jobs)
        self._feed.unwatch_tags(tags)
        if unwanted.all and self._kinds is not None:
            self._kinds = None
            self._feed.unwatch_all()

    def end_job(self, job_id: UUID) -> None:
        """Take the subscription to a job back whose end was told: it never changes again."""
        if self._jobs.pop(job_id, self) is None:
            self._feed.unwatch_jobs([job_id])

    async def _read(self, wanted: Subscribe, jobs: list[UUID], tags: list[str]) -> list[Frame]:
        owner_id = self._feed.owner_id
        frames = await read_jobs(self._resources, owner_id, jobs) if jobs else []
        if missing := set(jobs).difference(frame.job_id for frame in frames):
            error = JobNotFound("No such jobs; nothing of this was subscribed to.")
            error.pointers = tuple(f"/jobs/{place}" for place, job_id in enumerate(wanted.jobs) if job_id in missing)
            raise error
        if wanted.all and wanted.kinds != self._kinds:
            async for page in read_live_jobs(self._resources, owner_id, wanted.kinds, (), MOST_LIVE_JOBS):
                frames += page
        if tags:
            async for page in read_live_jobs(self._resources, owner_id, (), (), MOST_LIVE_JOBS, any_tag=tags):
                frames += page
        return frames

    def _take_back(self, wanted: Subscribe, jobs: list[UUID], tags: list[str]) -> None:
        self._feed.unwatch_jobs(jobs)
        self._feed.unwatch_tags(tags)
        if wanted.all and self._kinds is None:
            self._feed.unwatch_all()
        elif wanted.all:
            self._feed.watch_all(self._kinds or ())
