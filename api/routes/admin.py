"""`/v1/admin`: queues, workers, quotas, broadcasts and the clean-up, for operators."""

from uuid import UUID

from fastapi import APIRouter, Response

from api import broadcasts, queues, quotas, workers
from api.broadcast_room import Broadcast
from api.broadcasts import BroadcastBody
from api.deps import OperatorDep, ResourcesDep
from api.file_cleaning import CleanBody, enqueue_clean
from api.idempotency_key import REPLAYED_HEADER, JsonKeyDep
from api.job_openapi import JOB_RESPONSES
from api.job_responses import WaitDep
from api.problems import problems
from api.queues import QueueList, QueueStatus
from api.quotas import QuotaBody, UserQuota
from api.workers import WorkerList

router = APIRouter(prefix="/v1/admin", tags=["admin"])


_BROADCAST = {"description": "Written down; it is being told.", "headers": REPLAYED_HEADER}


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


@router.post("/files/clean", status_code=202, responses=JOB_RESPONSES | problems(401, 403, 409))
async def clean_files(
    operator: OperatorDep, resources: ResourcesDep, body: CleanBody, wait: WaitDep, key: JsonKeyDep
) -> Response:
    """Clean up everybody's files now, as the schedule does; or tell what would be deleted. This is a job of yours."""
    return await enqueue_clean(resources, operator.user_id, body, wait, key)


@router.post(
    "/broadcast", status_code=202, response_model=Broadcast, responses={202: _BROADCAST} | problems(401, 403, 409)
)
async def send_broadcast(
    operator: OperatorDep, resources: ResourcesDep, body: BroadcastBody, key: JsonKeyDep
) -> Response:
    """Tell everybody who has a WebSocket open, within a second at most. It is not kept for those who come later."""
    return await broadcasts.send_broadcast(resources, operator.user_id, body, key)


@router.get("/users/{user_id}/quota", responses=problems(401, 403, 404))
async def get_user_quota(_: OperatorDep, resources: ResourcesDep, user_id: UUID) -> UserQuota:
    """Tell what a user may have stored, and how much they have."""
    return await quotas.read_user_quota(resources, user_id)


@router.put("/users/{user_id}/quota", responses=problems(401, 403, 404))
async def set_user_quota(_: OperatorDep, resources: ResourcesDep, user_id: UUID, body: QuotaBody) -> UserQuota:
    """Set what a user may have stored. Of what they have already, nothing goes."""
    return await quotas.set_user_quota(resources, user_id, body)
