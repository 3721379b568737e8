"""The secrets that sign webhooks: showing them, and going over to a new one."""

from datetime import timedelta
from uuid import UUID

from fastapi import Response
from sqlalchemy import func

from api.idempotency import once
from api.idempotency_key import RequestKey
from api.resources import Resources
from api.transactions import session_connection
from api.webhook_endpoints import find_webhook
from api.webhook_shapes import SecretRotation, WebhookSecret
from shared.webhook_signing import new_secret


async def read_secret(resources: Resources, owner_id: UUID, name: str) -> Response:
    """Show the secret of an owner's endpoint; raises `WebhookNotFound`."""
    async with resources.sessions.begin() as session:
        return _answer(WebhookSecret.of(await find_webhook(session, owner_id, name)))


async def rotate_secret(
    resources: Resources, owner_id: UUID, name: str, rotation: SecretRotation, key: RequestKey | None
) -> Response:
    """Give an owner's endpoint a new secret, once per key; raises `WebhookNotFound` and the errors of `once`.

    The one before signs too while they overlap; one before that no longer does.
    """
    async with resources.sessions.begin() as session:

        async def write() -> Response:
            row = await find_webhook(session, owner_id, name, lock=True)
            overlap = timedelta(seconds=rotation.overlap_seconds)
            row.previous_secret = row.secret if overlap else None
            row.previous_secret_until = func.clock_timestamp() + overlap if overlap else None
            row.secret = new_secret()
            await session.flush()
            await session.refresh(row)
            return _answer(WebhookSecret.of(row))

        return await once(await session_connection(session), key, session.begin_nested, write)


def _answer(secret: WebhookSecret) -> Response:
    return Response(secret.model_dump_json(), 200, {"Cache-Control": "no-store"}, "application/json")
