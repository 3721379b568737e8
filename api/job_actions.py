"""What can be done with a job from outside. Each answers only after its commit."""

from uuid import UUID

from fastapi import Response

from api.job_responses import job_response, read, wait_until_done
from api.resources import Resources
from shared.errors import IllegalTransition
from shared.job_queue import Enqueued, NewJob, cancel_job, delete_job, enqueue
from shared.job_retry import retried
from shared.job_state import JobState


async def create(resources: Resources, new: NewJob, wait: int | None) -> Response:
    """Enqueue a job and answer 202, or 200 once it is done or was there before."""
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
    resources.nudger.nudge()
    return enqueued


async def answer(resources: Resources, enqueued: Enqueued, wait: int | None) -> Response:
    """Answer for an enqueued job, after waiting for its end if the client prefers to."""
    row = enqueued.row
    if wait is not None and not row.done:
        row = await wait_until_done(resources, row, wait)
    headers = {"Location": f"/v1/jobs/{row.id}"}
    if enqueued.existing:
        headers["Jobyard-Existing"] = "true"
    status = 200 if row.done or enqueued.existing else 202
    return job_response(row, resources.job_retention, status=status, wait=wait, headers=headers)


async def cancel(resources: Resources, owner_id: UUID, job_id: UUID) -> Response:
    """Cancel a job; raises `JobNotFound`, and `IllegalTransition` when it has ended otherwise."""
    async with resources.ledger.connection() as connection:
        row = await cancel_job(connection, owner_id, job_id)
    if row is None:
        row = await read(resources, owner_id, job_id)
        if row.done and row.state != JobState.CANCELLED:
            raise IllegalTransition(f"The job is {row.state}.")
    else:
        await resources.changes.publish(row.id, row.version)
    return job_response(row, resources.job_retention)


async def retry(resources: Resources, owner_id: UUID, job_id: UUID) -> Response:
    """Enqueue a job like one that did not succeed; raises `JobNotFound`, `IllegalTransition`, `FileNotFound`."""
    old = await read(resources, owner_id, job_id)
    new = retried(old, resources.kinds.get(old.kind))
    return await create(resources, new, None)


async def delete(resources: Resources, owner_id: UUID, job_id: UUID) -> None:
    """Delete a job that is done; raises `JobNotFound`, `IllegalTransition`."""
    async with resources.ledger.connection() as connection:
        deleted = await delete_job(connection, owner_id, job_id)
    if not deleted:
        row = await read(resources, owner_id, job_id)
        raise IllegalTransition(f"The job is {row.state}; cancel it first.")
