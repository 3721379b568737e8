"""`/v1/notifications`: tell many people the same, each in an e-mail of their own."""

from fastapi import APIRouter, Response

from api import notifications
from api.deps import BaseUrlDep, CallerDep, ResourcesDep
from api.idempotency_key import JsonKeyDep
from api.notifications import NotificationBody
from api.problems import problems
from api.routes.emails import BATCH_ACCEPTED

router = APIRouter(prefix="/v1/notifications", tags=["emails"])


@router.post("", status_code=202, responses=BATCH_ACCEPTED | problems(401, 409))
async def send_notification(
    caller: CallerDep, resources: ResourcesDep, body: NotificationBody, key: JsonKeyDep, base_url: BaseUrlDep
) -> Response:
    """Tell up to 1,000 people the same in plain text, each in an e-mail of their own from the service's address.

    Each address has its item in the answer; who is named twice has one. An address that is none is refused alone; 422
    when all are.
    """
    return await notifications.notify(resources, caller.user_id, body, key, base_url)
