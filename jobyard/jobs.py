"""`client.jobs`: enqueue, read, list, follow, cancel and retry jobs."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobyard.calls import R, Resource, call, stream
from jobyard.exchange import Id, delete, get, given, pages, post, query_of, read_as, read_json, segment
from jobyard.flows import Flow, Stream
from jobyard.following import Followed, follow, wait
from jobyard.models import Job, JobAttempt
from jobyard.reading import read
from jobyard.watching import watch

AnyJob = Job | Id
"""A job, or its id."""


def id_of(job: AnyJob) -> str:
    """Give the id of a job."""
    return job.id if isinstance(job, Job) else str(job)


class Jobs(Resource[R]):
    """Is the jobs of the account."""

    @call
    def create(
        self,
        kind: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the server's word
        *,
        tags: Sequence[str] = (),
        priority: int | None = None,
        run_at: datetime | None = None,
        ttl_seconds: float | None = None,
        unique_key: str | None = None,
        concurrency_key: str | None = None,
        max_attempts: int | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Enqueue a job. Once given back it is committed: it reaches one end, whatever dies.

        With a `unique_key` that a live job of this kind has, that job is given. An `idempotency_key` of your own makes
        it one job even if your program is run twice.
        """
        body = given(
            kind=kind,
            input=dict(input or {}),
            tags=list(tags) or None,
            priority=priority,
            run_at=run_at,
            ttl_seconds=ttl_seconds,
            unique_key=unique_key,
            concurrency_key=concurrency_key,
            max_attempts=max_attempts,
            webhook_url=webhook_url,
        )
        return read_as(Job, (yield from post(self.session, "/v1/jobs", body, key=idempotency_key)))

    @call
    def get(self, job: AnyJob) -> Flow[Job]:
        """Read a job as it is now; raises `NotFound`."""
        return read_as(Job, (yield from get(self.session, _path(job))))

    @stream
    def list(
        self,
        *,
        state: str | Sequence[str] | None = None,
        kind: str | Sequence[str] | None = None,
        tag: str | Sequence[str] | None = None,
        id: Sequence[Id] | None = None,  # noqa: A002 - the server's word
        created_after: datetime | None = None,
        oldest_first: bool = False,
        limit: int | None = None,
    ) -> Stream[Job]:
        """List jobs, newest first, page after page; any of the states and kinds, all of the tags."""
        query = query_of(
            state=state,
            kind=kind,
            tag=tag,
            id=None if id is None else [str(each) for each in id],
            created_after=created_after,
            sort="created_at" if oldest_first else None,
        )
        yield from pages(self.session, "/v1/jobs", Job, query, limit)

    @call
    def wait(
        self,
        job: AnyJob,
        timeout: float | None = None,
        on_change: Callable[[Job], None] | None = None,
        *,
        check: bool = False,
    ) -> Flow[Job]:
        """Wait for a job's end and give the job, however it ended; with `check` raise `JobFailed` if without success.

        `on_change` is shown each newer state. The wait outlives lost connections and restarts of the server; it goes by
        events, and where these do not come through, by asking. Raises `WaitTimeout` after `timeout` seconds.
        """
        ended = yield from wait(self.session, job if isinstance(job, Job) else id_of(job), timeout, on_change)
        if check:
            ended.result_or_raise()
        return ended

    @stream
    def events(self, job: AnyJob, timeout: float | None = None) -> Stream[Job]:
        """Give a job as it is now, and each newer state until it is done; as `wait` does."""
        yield from follow(self.session, Followed(id_of(job), None, timeout))

    @stream
    def watch(self, *, tags: Sequence[str] = (), kinds: Sequence[str] = ()) -> Stream[Job]:
        """Give the jobs that live, then every change of any job, without end: all of the tags, any of the kinds."""
        yield from watch(self.session, kinds, tags)

    @call
    def cancel(self, job: AnyJob) -> Flow[Job]:
        """Cancel a job: a waiting one at once, a running one soon; repeating it is fine. Raises `Conflict` if done."""
        return read_as(Job, (yield from post(self.session, f"{_path(job)}/cancel")))

    @call
    def retry(self, job: AnyJob) -> Flow[Job]:
        """Enqueue a new job like one that failed, expired or was cancelled; raises `Conflict` for another."""
        return read_as(Job, (yield from post(self.session, f"{_path(job)}/retry")))

    @call
    def attempts(self, job: AnyJob) -> "Flow[tuple[JobAttempt, ...]]":
        """List a job's attempts, oldest first."""
        answer = yield from get(self.session, f"{_path(job)}/attempts")
        return tuple(read(JobAttempt, attempt) for attempt in read_json(answer))

    @call
    def delete(self, job: AnyJob) -> Flow[None]:
        """Forget a job that is done; the files it made stay. Raises `Conflict` when it is not done."""
        yield from delete(self.session, _path(job))

    @call
    def bulk(
        self,
        action: str,
        *,
        state: Sequence[str] | None = None,
        kind: Sequence[str] | None = None,
        tag: Sequence[str] | None = None,
        id: Sequence[Id] | None = None,  # noqa: A002 - the server's word
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        older_than_seconds: float | None = None,
    ) -> Flow[Job]:
        """`cancel`, `retry` or `purge` all jobs that match at least one criterion, by a job of its own: wait for it."""
        wanted = given(
            state=state,
            kind=kind,
            tag=tag,
            id=id,
            created_after=created_after,
            created_before=created_before,
            older_than_seconds=older_than_seconds,
        )
        body = {"action": action, "filter": wanted}
        return read_as(Job, (yield from post(self.session, "/v1/jobs/bulk", body)))


def _path(job: AnyJob) -> str:
    return f"/v1/jobs/{segment(id_of(job))}"
