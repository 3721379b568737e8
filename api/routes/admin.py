"""`/v1/admin`: queues and workers, for operators."""

from fastapi import APIRouter

from api import queues, workers
from api.deps import OperatorDep, ResourcesDep
from api.problems import problems
from api.queues import QueueList, QueueStatus
from api.workers import WorkerList

router = APIRouter(prefix="/v1/admin", tags=["admin"])


@router.get("/queues", responses=problems(401, 403))
async def list_queues(_: OperatorDep, resources: ResourcesDep) -> QueueList:
    """Tell how long and how old each queue's line is, how long jobs wait, and whether it is paused."""
    return await queues.list_queues(resources)


@router.post("/queues/{queue}/pause", responses=problems(401, 403, 404))
async def pause_queue(operator: OperatorDep, resources: ResourcesDep, queue: str) -> QueueStatus:
    """Pause a queue, for as long as nobody resumes it. Jobs that run go on; all others wait. Repeating it is fine."""
    return await queues.pause_queue(resources, queue, operator.user_id)


@router.post("/queues/{queue}/resume", responses=problems(401, 403, 404))
async def resume_queue(_: OperatorDep, resources: ResourcesDep, queue: str) -> QueueStatus:
    """Resume a queue. Repeating it is fine."""
    return await queues.resume_queue(resources, queue)


@router.get("/workers", responses=problems(401, 403))
async def list_workers(_: OperatorDep, resources: ResourcesDep) -> WorkerList:
    """Tell what each worker last said of itself, and whether it is healthy."""
    return await workers.list_workers(resources)
