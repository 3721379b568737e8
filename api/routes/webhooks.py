"""`/v1/webhooks`: where your events are sent, the secrets that sign them, and the log of what was delivered."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from api import webhook_deliveries, webhook_endpoints, webhook_replays, webhook_secrets
from api.deps import CallerDep, ResourcesDep
from api.idempotency_key import REPLAYED_HEADER, JsonKeyDep
from api.job_responses import WaitDep
from api.pages import Page, PageQuery, page_query
from api.problems import problems
from api.webhook_deliveries import DeliveryFilter, delivery_filter
from api.webhook_delivery_shapes import Delivery, DeliveryWithBody, FailedReplay, Replayed
from api.webhook_shapes import NewWebhook, SecretRotation, Webhook, WebhookBody, WebhookChange, WebhookSecret

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

WebhookName = Annotated[
    str,
    Path(
        pattern=r"^(for-jobs|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$",
        description="The webhook's id; or `for-jobs`, the one that stands for the `webhook_url` of your jobs.",
        examples=["0198f2a5-3d4e-7f60-8b1a-2c3d4e5f6071"],
    ),
]
_DEFAULT_ROTATION = SecretRotation.model_validate({})
PageDep = Annotated[PageQuery, Depends(page_query)]


def _with_location(what: str) -> dict[str, Any]:
    return {"Location": {"schema": {"type": "string"}, "description": f"The {what}'s path."}} | REPLAYED_HEADER


_CREATED: dict[int | str, dict[str, Any]] = {
    201: {"model": NewWebhook, "description": "Registered.", "headers": _with_location("webhook")},
}
_SECRET: dict[int | str, dict[str, Any]] = {200: {"model": WebhookSecret, "description": "The secret."}}
_ROTATED: dict[int | str, dict[str, Any]] = {
    200: {"model": WebhookSecret, "description": "The new secret.", "headers": REPLAYED_HEADER},
}
_SENT: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Delivery,
        "description": "Accepted: the delivery is committed.",
        "headers": _with_location("delivery"),
    },
}
_TESTED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Delivery,
        "description": "The delivery, which was over in time.",
        "headers": _with_location("delivery"),
    },
}
_ALL_SENT: dict[int | str, dict[str, Any]] = {
    202: {"model": Replayed, "description": "Accepted: the deliveries are committed.", "headers": REPLAYED_HEADER},
}


@router.post("", status_code=201, responses=_CREATED | problems(401, 409))
async def create_webhook(caller: CallerDep, resources: ResourcesDep, body: WebhookBody, key: JsonKeyDep) -> Response:
    """Register where your events are sent: signed as Standard Webhooks has it, with the secret in this answer.

    Any 2xx within 15 seconds is a delivery; whatever else, redirects too, is tried again nine times in three days.
    """
    return await webhook_endpoints.create_webhook(resources, caller.user_id, body, key)


@router.get("", responses=problems(401))
async def list_webhooks(caller: CallerDep, resources: ResourcesDep, page: PageDep) -> Page[Webhook]:
    """List your webhooks, newest first, without the one of jobs."""
    return await webhook_endpoints.list_webhooks(resources, caller.user_id, page)


@router.get("/{webhook_id}", responses=problems(401, 404))
async def get_webhook(caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName) -> Webhook:
    """Read a webhook: what it is told, and how that goes."""
    return await webhook_endpoints.read_webhook(resources, caller.user_id, webhook_id)


@router.patch("/{webhook_id}", responses=problems(401, 404, 409))
async def change_webhook(
    caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName, body: WebhookChange
) -> Webhook:
    """Change a webhook, disable it, or enable it again. What happens while it is disabled is not told later."""
    return await webhook_endpoints.change_webhook(resources, caller.user_id, webhook_id, body)


@router.delete("/{webhook_id}", status_code=204, responses=problems(401, 404, 409))
async def delete_webhook(caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName) -> None:
    """Delete a webhook with its log. What was on its way is not sent any more."""
    await webhook_endpoints.delete_webhook(resources, caller.user_id, webhook_id)


@router.get("/{webhook_id}/secret", responses=_SECRET | problems(401, 404))
async def get_webhook_secret(caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName) -> Response:
    """Show the secret that the receiver verifies signatures with."""
    return await webhook_secrets.read_secret(resources, caller.user_id, webhook_id)


@router.post("/{webhook_id}/rotate-secret", responses=_ROTATED | problems(401, 404, 409))
async def rotate_webhook_secret(
    caller: CallerDep,
    resources: ResourcesDep,
    webhook_id: WebhookName,
    key: JsonKeyDep,
    body: SecretRotation = _DEFAULT_ROTATION,
) -> Response:
    """Go over to a new secret. While they overlap each message has two signatures, of the old and of the new one.

    Only two can: rotating again meanwhile ends the older one.
    """
    return await webhook_secrets.rotate_secret(resources, caller.user_id, webhook_id, body, key)


@router.post("/{webhook_id}/test", status_code=202, responses=_SENT | _TESTED | problems(401, 404, 409))
async def test_webhook(
    caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName, wait: WaitDep, key: JsonKeyDep
) -> Response:
    """Send an event `webhook.test` to this webhook alone, whatever its filters. It tells of the webhook itself.

    It goes at once and once; with `Prefer: wait=20` the answer says whether it is `delivered` or `failed`. A failed
    test, even by 410, changes nothing about the webhook, and nothing else waits for it.
    """
    return await webhook_replays.send_test(resources, caller.user_id, webhook_id, wait, key)


@router.get("/{webhook_id}/deliveries", responses=problems(401, 404))
async def list_deliveries(
    caller: CallerDep,
    resources: ResourcesDep,
    webhook_id: WebhookName,
    page: PageDep,
    wanted: Annotated[DeliveryFilter, Depends(delivery_filter)],
) -> Page[Delivery]:
    """List what was sent to a webhook and what came of it, newest first."""
    return await webhook_deliveries.list_deliveries(resources, caller.user_id, webhook_id, page, wanted)


@router.get("/{webhook_id}/deliveries/{delivery_id}", responses=problems(401, 404))
async def get_delivery(
    caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName, delivery_id: UUID
) -> DeliveryWithBody:
    """Read a delivery, with the very text that is signed and sent."""
    return await webhook_deliveries.read_delivery(resources, caller.user_id, webhook_id, delivery_id)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202, responses=_SENT | problems(401, 404, 409)
)
async def replay_delivery(
    caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName, delivery_id: UUID, key: JsonKeyDep
) -> Response:
    """Send a delivery again, with the same body to the URL that the webhook has now.

    It is a delivery of its own, under a new `webhook-id`: a receiver that drops what it has seen takes it. Who must not
    act twice on one event goes by the `id` in the body, which stays. One that is pending is tried at once, as it is.
    """
    return await webhook_replays.replay_delivery(resources, caller.user_id, webhook_id, delivery_id, key)


@router.post("/{webhook_id}/replay-failed", status_code=202, responses=_ALL_SENT | problems(401, 404, 409))
async def replay_failed(
    caller: CallerDep, resources: ResourcesDep, webhook_id: WebhookName, body: FailedReplay, key: JsonKeyDep
) -> Response:
    """Send again all that failed since a time and was not sent again yet, oldest first, 1,000 deliveries at most.

    Tests are not among them.
    """
    return await webhook_replays.replay_failed(resources, caller.user_id, webhook_id, body, key)
