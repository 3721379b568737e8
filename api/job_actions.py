"""What can be done with a job from outside. Each answers only after its commit."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import Response
from psycopg import AsyncConnection

from api.idempotency import once
from api.idempotency_key import REPLAYED, RequestKey
from api.job_frames import Frame, frame_of
from api.job_responses import job_response, read, read_and_wait, wait_until_done
from api.resources import Resources
from shared.errors import IllegalTransition, JobNotFound
from shared.job_queue import Enqueued, NewJob, cancel_job, delete_job, enqueue, read_job
from shared.job_retry import retried
from shared.job_state import JobState

Enqueue = Callable[[AsyncConnection[Any]], Awaitable[Enqueued]]
"""Enqueues a job on a connection, in its transaction."""


async def create(resources: Resources, new: NewJob, wait: int | None, key: RequestKey | None) -> Response:
    """Enqueue a job and answer 202, or 200 once it is done or was there before."""
    if key is not None:
        return await enqueue_once(resources, new.owner_id, key, wait, lambda connection: enqueue(connection, new))
    enqueued = await commit(resources, new)
    return await answer(resources, enqueued, wait)


async def commit(resources: Resources, new: NewJob) -> Enqueued:
    """Write a job down and nudge the dispatcher; raises `FileNotFound`."""
    async with resources.ledger.connection() as connection:
        if new.file_ids:
            async with connection.transaction():
                enqueued = await enqueue(connection, new)
        else:
            # One statement is its own transaction: this is the hot path.
            enqueued = await enqueue(connection, new)
    resources.note_enqueued(new.owner_id)
    return enqueued


async def enqueue_once(
    resources: Resources, owner_id: UUID, key: RequestKey | None, wait: int | None, write: Enqueue
) -> Response:
    """Enqueue a job in a transaction with whatever belongs to it, once per key, and answer as `create` does.

    `write` may read, write and raise errors of the domain on the connection that it is given.
    """
    async with resources.ledger.connection() as connection, connection.transaction():

        async def work() -> Response:
            return accept(resources, await write(connection))

        accepted = await once(connection, key, connection.transaction, work)
    resources.note_enqueued(owner_id)
    return await answer_accepted(resources, owner_id, accepted, wait)


async def answer(resources: Resources, enqueued: Enqueued, wait: int | None) -> Response:
    """Answer for an enqueued job, after waiting for its end if the client prefers to."""
    frame = frame_of(enqueued.row, resources.job_retention)
    if wait is not None and not frame.done:
        frame = await wait_until_done(resources, frame, wait)
    return _accept(frame, wait, existing=enqueued.existing)


async def answer_accepted(resources: Resources, owner_id: UUID, accepted: Response, wait: int | None) -> Response:
    """Answer with the job as it is after waiting, if the client prefers to, in place of its acceptance.

    A refusal stays as it is, and so does the acceptance of a job that is gone.
    """
    if wait is None or accepted.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        return accepted
    job_id = UUID(accepted.headers["location"].rpartition("/")[2])
    try:
        frame = await read_and_wait(resources, owner_id, job_id, wait, None)
    except JobNotFound:
        return accepted
    response = _accept(frame, wait, existing="jobyard-existing" in accepted.headers)
    if REPLAYED in accepted.headers:
        response.headers[REPLAYED] = accepted.headers[REPLAYED]
    return response


def accept(resources: Resources, enqueued: Enqueued) -> Response:
    """Answer for an enqueued job at once."""
    return _accept(frame_of(enqueued.row, resources.job_retention), None, existing=enqueued.existing)


def _accept(frame: Frame, wait: int | None, *, existing: bool) -> Response:
    headers = {"Location": f"/v1/jobs/{frame.job_id}"}
    if existing:
        headers["Jobyard-Existing"] = "true"
    return job_response(frame, status=200 if frame.done or existing else 202, wait=wait, headers=headers)


async def cancel(resources: Resources, owner_id: UUID, job_id: UUID) -> Response:
    """Cancel a job; raises `JobNotFound`, and `IllegalTransition` when it has ended otherwise."""
    async with resources.ledger.connection() as connection:
        row = await cancel_job(connection, owner_id, job_id)
    if row is None:
        row = await read(resources, owner_id, job_id)
        if row.done and row.state != JobState.CANCELLED:
            raise IllegalTransition(f"The job is {row.state}.")
    else:
        resources.changes.announce([row])
    return job_response(frame_of(row, resources.job_retention))


async def retry(resources: Resources, owner_id: UUID, job_id: UUID, key: RequestKey | None) -> Response:
    """Enqueue a job like one that did not succeed; raises `JobNotFound`, `IllegalTransition`, `FileNotFound`."""

    async def write(connection: AsyncConnection[Any]) -> Enqueued:
        old = await read_job(connection, owner_id, job_id)
        if old is None:
            raise JobNotFound("No such job.")
        return await enqueue(connection, retried(old, resources.kinds.get(old.kind), resources.settings))

    return await enqueue_once(resources, owner_id, key, None, write)


async def delete(resources: Resources, owner_id: UUID, job_id: UUID) -> None:
    """Delete a job that is done; raises `JobNotFound`, `IllegalTransition`."""
    async with resources.ledger.connection() as connection:
        deleted = await delete_job(connection, owner_id, job_id)
    if not deleted:
        row = await read(resources, owner_id, job_id)
        raise IllegalTransition(f"The job is {row.state}; cancel it first.")
