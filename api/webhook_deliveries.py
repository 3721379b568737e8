"""Webhooks' deliveries: the log of what was sent to an endpoint, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from api.pages import Page, PageQuery, make_page, select_page
from api.resources import Resources
from api.webhook_delivery_shapes import Delivery, DeliveryState, DeliveryWithBody
from api.webhook_endpoints import find_webhook
from api.webhook_shapes import LONGEST_FILTER, path_of
from shared.errors import JobyardError
from shared.event_models import WebhookDelivery

EventName = Annotated[str, Field(max_length=LONGEST_FILTER)]


class DeliveryNotFound(JobyardError):
    """Is raised for a delivery that the endpoint does not have."""

    status = 404
    code = "delivery_not_found"
    title = "Delivery not found"


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Says which deliveries a list shows; an empty filter lets all in."""

    states: Sequence[DeliveryState]
    events: Sequence[str]
    subject_id: UUID | None


async def delivery_filter(
    state: Annotated[list[DeliveryState] | None, Query(max_length=10, description="Any of these.")] = None,
    event: Annotated[
        list[EventName] | None, Query(max_length=50, description="Any of these.", examples=[["job.failed"]])
    ] = None,
    subject_id: Annotated[UUID | None, Query(description="Of this job, file or e-mail.")] = None,
) -> DeliveryFilter:
    """Read which deliveries are asked for."""
    return DeliveryFilter(state or (), event or (), subject_id)


async def list_deliveries(
    resources: Resources, owner_id: UUID, name: str, page: PageQuery, wanted: DeliveryFilter
) -> Page[Delivery]:
    """List the deliveries to an owner's endpoint, newest first; raises `WebhookNotFound`."""
    async with resources.sessions.begin() as session:
        webhook = await find_webhook(session, owner_id, name)
        statement = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == webhook.id)
        if wanted.states:
            statement = statement.where(WebhookDelivery.state.in_(wanted.states))
        if wanted.events:
            statement = statement.where(WebhookDelivery.event.in_(wanted.events))
        if wanted.subject_id is not None:
            statement = statement.where(WebhookDelivery.subject_id == wanted.subject_id)
        statement = select_page(statement, page, WebhookDelivery.created_at, WebhookDelivery.id)
        rows = (await session.scalars(statement.options(defer(WebhookDelivery.body)))).all()
    path = path_of(webhook)
    return make_page(rows, page, lambda row: (row.created_at, row.id), lambda row: Delivery.of(row, path))


async def read_delivery(resources: Resources, owner_id: UUID, name: str, delivery_id: UUID) -> DeliveryWithBody:
    """Read a delivery with what is sent; raises `WebhookNotFound`, `DeliveryNotFound`."""
    async with resources.sessions.begin() as session:
        webhook = await find_webhook(session, owner_id, name)
        return DeliveryWithBody.of(await find_delivery(session, webhook.id, delivery_id), path_of(webhook))


async def find_delivery(session: AsyncSession, endpoint_id: UUID, delivery_id: UUID) -> WebhookDelivery:
    """Find an endpoint's delivery in a transaction; raises `DeliveryNotFound`."""
    row = await session.get(WebhookDelivery, delivery_id)
    if row is None or row.endpoint_id != endpoint_id:
        raise DeliveryNotFound("No such delivery.")
    return row
