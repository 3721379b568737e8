"""Webhooks' endpoints: registering, reading, changing and deleting them.

Jobs are locked before the endpoint and its deliveries, as the attempts that deliver do.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from fastapi import Response
from psycopg.rows import scalar_row
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.idempotency import once
from api.idempotency_key import RequestKey
from api.pages import Page, PageQuery, make_page, select_page
from api.resources import Resources
from api.transactions import lock_owner, session_connection
from api.webhook_shapes import FOR_JOBS, NewWebhook, Webhook, WebhookBody, WebhookChange
from shared.errors import JobyardError
from shared.event_models import WebhookEndpoint
from shared.job_queue import cancel_jobs
from shared.job_row import JobRow
from shared.webhook_signing import new_secret
from shared.webhook_urls import require_webhook_url

MOST_WEBHOOKS = 20

# In the order in which everyone locks many jobs. Those beyond the limit end by themselves when they find no delivery.
_LOCK_JOBS = """
SELECT id FROM jobs
WHERE id IN (SELECT job_id FROM webhook_deliveries WHERE endpoint_id = %s AND state = 'pending' LIMIT 10000)
  AND finished_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""


# The dispatcher makes it, too, when it first has something to tell.
_MAKE_FOR_JOBS = insert(WebhookEndpoint).on_conflict_do_nothing(
    index_elements=[WebhookEndpoint.owner_id], index_where=WebhookEndpoint.url.is_(None)
)


class WebhookNotFound(JobyardError):
    """Is raised for an endpoint that does not exist or is another owner's."""

    status = 404
    code = "webhook_not_found"
    title = "Webhook not found"


class TooManyWebhooks(JobyardError):
    """Is raised when an owner has as many endpoints as there may be."""

    status = 409
    code = "too_many_webhooks"
    title = "Too many webhooks"


class WebhookForJobs(JobyardError):
    """Is raised for what cannot be done with the endpoint of jobs, because it has no URL of its own."""

    status = 409
    code = "webhook_for_jobs"
    title = "The webhook of jobs does not allow this"


async def create_webhook(resources: Resources, owner_id: UUID, body: WebhookBody, key: RequestKey | None) -> Response:
    """Register an endpoint, once per key; raises `WebhookUrlNotAllowed`, `TooManyWebhooks` and the errors of `once`."""
    require_webhook_url(body.url, resources.settings, pointer="/url")
    async with resources.sessions.begin() as session:

        async def write() -> Response:
            await lock_owner(session, owner_id)
            if await _count(session, owner_id) >= MOST_WEBHOOKS:
                raise TooManyWebhooks(f"There are {MOST_WEBHOOKS} webhooks already; delete one first.")
            row = WebhookEndpoint(owner_id=owner_id, secret=new_secret(), **body.model_dump())
            session.add(row)
            await session.flush()
            await session.refresh(row)
            shaped = NewWebhook.of(row)
            headers = {"Location": shaped.links.self_, "Cache-Control": "no-store"}
            return Response(shaped.model_dump_json(by_alias=True), 201, headers, "application/json")

        return await once(await session_connection(session), key, session.begin_nested, write)


async def _count(session: AsyncSession, owner_id: UUID) -> int:
    statement = select(func.count()).where(WebhookEndpoint.owner_id == owner_id, WebhookEndpoint.url.is_not(None))
    return (await session.scalars(statement)).one()


async def find_webhook(session: AsyncSession, owner_id: UUID, name: str, *, lock: bool = False) -> WebhookEndpoint:
    """Find an owner's endpoint in a transaction, by its id or the word for that of jobs; raises `WebhookNotFound`.

    That of jobs is made when it is first asked for. A lock does not hinder who only refers to the endpoint.
    """
    named = WebhookEndpoint.url.is_(None) if name == FOR_JOBS else WebhookEndpoint.id == UUID(name)
    statement = select(WebhookEndpoint).where(WebhookEndpoint.owner_id == owner_id, named)
    if lock:
        statement = statement.with_for_update(key_share=True)
    row = await session.scalar(statement)
    if row is None and name == FOR_JOBS:
        await session.execute(_MAKE_FOR_JOBS, {"owner_id": owner_id, "secret": new_secret()})
        row = await session.scalar(statement)
    if row is None:
        raise WebhookNotFound("No such webhook.")
    return row


async def list_webhooks(resources: Resources, owner_id: UUID, page: PageQuery) -> Page[Webhook]:
    """List the endpoints that an owner registered, newest first."""
    statement = select(WebhookEndpoint).where(WebhookEndpoint.owner_id == owner_id, WebhookEndpoint.url.is_not(None))
    async with resources.sessions() as session:
        rows = (
            await session.scalars(select_page(statement, page, WebhookEndpoint.created_at, WebhookEndpoint.id))
        ).all()
    return make_page(rows, page, lambda row: (row.created_at, row.id), Webhook.of)


async def read_webhook(resources: Resources, owner_id: UUID, name: str) -> Webhook:
    """Read an owner's endpoint; raises `WebhookNotFound`."""
    async with resources.sessions.begin() as session:
        return Webhook.of(await find_webhook(session, owner_id, name))


async def change_webhook(resources: Resources, owner_id: UUID, name: str, change: WebhookChange) -> Webhook:
    """Change an owner's endpoint; raises `WebhookNotFound`, `WebhookForJobs`, `WebhookUrlNotAllowed`."""
    given = change.model_dump(include=change.model_fields_set)
    if "url" in given:
        require_webhook_url(change.url, resources.settings, pointer="/url")
    async with resources.sessions.begin() as session:
        row = await find_webhook(session, owner_id, name, lock=True)
        if row.url is None and (fixed := given.keys() & {"url", "events"}):
            raise WebhookForJobs("The webhook of jobs has no URL and no filters.", pointer=f"/{min(fixed)}")
        for column, value in _columns(row, given).items():
            setattr(row, column, value)
        await session.flush()
        await session.refresh(row)
        return Webhook.of(row)


def _columns(row: WebhookEndpoint, given: dict[str, Any]) -> dict[str, Any]:
    disabled = given.pop("disabled", None)
    columns = dict(given)
    if disabled is False or given.get("url", row.url) != row.url:
        # Another address has not failed yet.
        columns |= {"failures": 0, "failing_since": None, "resting_until": None}
    if disabled is False:
        columns |= {"disabled_at": None, "disabled_reason": None}
    elif disabled and row.disabled_at is None:
        columns |= {"disabled_at": func.clock_timestamp(), "disabled_reason": "manual"}
    return columns


async def delete_webhook(resources: Resources, owner_id: UUID, name: str) -> None:
    """Delete an owner's endpoint, its log, and what was on its way; raises `WebhookNotFound`, `WebhookForJobs`."""
    async with resources.sessions.begin() as session:
        row = await find_webhook(session, owner_id, name)
        if row.url is None:
            raise WebhookForJobs("The webhook of jobs cannot be deleted; disable it.")
        cancelled = await _cancel_pending(session, row)
        gone = delete(WebhookEndpoint).where(WebhookEndpoint.id == row.id).returning(WebhookEndpoint.id)
        if await session.scalar(gone) is None:
            raise WebhookNotFound("No such webhook.")
    resources.changes.announce(cancelled)


async def _cancel_pending(session: AsyncSession, row: WebhookEndpoint) -> Sequence[JobRow]:
    connection = await session_connection(session)
    async with connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_LOCK_JOBS, (row.id,))
        job_ids: list[UUID] = await cursor.fetchall()
    return await cancel_jobs(connection, row.owner_id, job_ids)
