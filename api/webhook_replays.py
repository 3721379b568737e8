"""Sending to a webhook by hand: a delivery again, all failed ones again, or a test.

A replay is a delivery of its own, with a `webhook-id` of its own: who asks for it knows that the receiver lost or
mishandled the message, and a receiver that remembers ids would drop it otherwise. Event and body are the same. What is
still on its way needs none: it is tried at once.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import Response
from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from api.idempotency import once
from api.idempotency_key import REPLAYED, RequestKey
from api.job_responses import read_and_wait
from api.resources import Resources
from api.transactions import session_connection
from api.webhook_deliveries import find_delivery
from api.webhook_delivery_shapes import Delivery, FailedReplay, Replayed
from api.webhook_endpoints import WebhookForJobs, find_webhook
from api.webhook_shapes import Webhook, path_of
from shared.errors import JobNotFound, JobyardError
from shared.event_models import WebhookDelivery, WebhookEndpoint
from shared.events import Event
from shared.ids import new_id
from shared.job_queue import enqueue
from shared.models import Job
from shared.webhook_queue import KIND, TEST_EVENT, delivery_job

MOST_REPLAYS = 1000
_MOST_URGENT = 100


class WebhookDisabled(JobyardError):
    """Is raised when something is to be sent to an endpoint that is disabled."""

    status = 409
    code = "webhook_disabled"
    title = "Webhook disabled"


async def replay_delivery(
    resources: Resources, owner_id: UUID, name: str, delivery_id: UUID, key: RequestKey | None
) -> Response:
    """Send a delivery again, once per key, to the URL that the endpoint has now; one that is pending is tried at once.

    Raises `WebhookNotFound`, `DeliveryNotFound`, `WebhookDisabled` and the errors of `once`.
    """
    async with resources.sessions.begin() as session:

        async def write() -> Response:
            webhook = await _find_enabled(session, owner_id, name)
            row = await find_delivery(session, webhook.id, delivery_id)
            webhook.resting_until = None
            if row.state == "pending":
                await _hurry(session, row)
            else:
                [row] = await _send(resources, session, webhook, [_again(row)])
            return _accept(row, webhook)

        answer = await once(await session_connection(session), key, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    return answer


async def replay_failed(
    resources: Resources, owner_id: UUID, name: str, wanted: FailedReplay, key: RequestKey | None
) -> Response:
    """Send again what failed since a time and was not sent again, tests aside, the oldest 1,000 at most, once per key.

    What is told of one subject goes in the order of its versions. The endpoint is locked, so that rivals do not both
    send the same again.
    Raises `WebhookNotFound`, `WebhookDisabled` and the errors of `once`.
    """
    async with resources.sessions.begin() as session:

        async def write() -> Response:
            webhook = await _find_enabled(session, owner_id, name, lock=True)
            failed = await _failed_since(session, webhook.id, wanted.since)
            in_order = sorted(failed[:MOST_REPLAYS], key=lambda row: row.version)
            webhook.resting_until = None
            await _send(resources, session, webhook, [_again(row) for row in in_order])
            told = Replayed(deliveries=min(len(failed), MOST_REPLAYS), more=len(failed) > MOST_REPLAYS)
            return Response(told.model_dump_json(), 202, media_type="application/json")

        answer = await once(await session_connection(session), key, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    return answer


async def send_test(
    resources: Resources, owner_id: UUID, name: str, wait: int | None, key: RequestKey | None
) -> Response:
    """Send an event that only tells of the endpoint itself, once per key: one attempt, before all else that waits.

    Answers 202, or 200 when it is over within the seconds that the client would wait.
    Raises `WebhookNotFound`, `WebhookForJobs`, `WebhookDisabled` and the errors of `once`.
    """
    async with resources.sessions.begin() as session:

        async def write() -> Response:
            webhook = await _find_enabled(session, owner_id, name)
            if webhook.url is None:
                raise WebhookForJobs("The webhook of jobs has no URL; register one to test it.")
            [new] = await _send(resources, session, webhook, [_test_of(webhook, webhook.url)])
            return _accept(new, webhook)

        accepted = await once(await session_connection(session), key, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    if wait is None or accepted.status_code >= HTTPStatus.MULTIPLE_CHOICES:
        return accepted
    return await _wait_for_end(resources, owner_id, accepted, wait)


async def _wait_for_end(resources: Resources, owner_id: UUID, accepted: Response, wait: int) -> Response:
    delivery = Delivery.model_validate_json(bytes(accepted.body))
    # Without its job it is over already; without itself nothing can be told of it but that it was accepted.
    if delivery.job_id is not None:
        with suppress(JobNotFound):
            await read_and_wait(resources, owner_id, delivery.job_id, wait, None)
    async with resources.sessions() as session:
        row = await session.get(WebhookDelivery, delivery.id)
    if row is not None:
        shaped = Delivery.of(row, delivery.links.webhook)
        headers = {"Location": shaped.links.self_, "Preference-Applied": f"wait={wait}"}
        if REPLAYED in accepted.headers:
            headers[REPLAYED] = accepted.headers[REPLAYED]
        status = 202 if shaped.state == "pending" else 200
        return Response(shaped.model_dump_json(by_alias=True), status, headers, "application/json")
    return accepted


async def _find_enabled(session: AsyncSession, owner_id: UUID, name: str, *, lock: bool = False) -> WebhookEndpoint:
    webhook = await find_webhook(session, owner_id, name, lock=lock)
    if webhook.disabled_at is not None:
        raise WebhookDisabled("The webhook is disabled; enable it first.")
    return webhook


async def _hurry(session: AsyncSession, row: WebhookDelivery) -> None:
    now = func.clock_timestamp()
    # The job first, as the attempts that deliver do. One that does not wait for a time is being seen to already.
    waiting = update(Job).where(Job.id == row.job_id, Job.state == "retrying", Job.run_at > now)
    hurried = await session.scalar(waiting.values(run_at=now, version=Job.version + 1).returning(Job.id))
    if hurried is not None:
        mine = update(WebhookDelivery).where(WebhookDelivery.id == row.id, WebhookDelivery.state == "pending")
        await session.execute(mine.values(next_attempt_at=now))
    await session.refresh(row)


async def _failed_since(session: AsyncSession, endpoint_id: UUID, since: datetime) -> Sequence[WebhookDelivery]:
    replay = aliased(WebhookDelivery)
    was_replayed = exists().where(replay.endpoint_id == endpoint_id, replay.replay_of == WebhookDelivery.id)
    statement = (
        select(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.event != TEST_EVENT,
            or_(
                WebhookDelivery.state == "failed",
                and_(WebhookDelivery.state == "cancelled", WebhookDelivery.error == "endpoint_disabled"),
            ),
            func.coalesce(WebhookDelivery.last_attempt_at, WebhookDelivery.created_at) >= since,
            ~was_replayed,
        )
        .order_by(WebhookDelivery.created_at, WebhookDelivery.id)
        .limit(MOST_REPLAYS + 1)
    )
    return (await session.scalars(statement)).all()


def _again(old: WebhookDelivery) -> dict[str, Any]:
    same = ("event", "event_id", "subject_id", "version", "url", "body")
    return {name: getattr(old, name) for name in same} | {"replay_of": old.id}


def _test_of(webhook: WebhookEndpoint, url: str) -> dict[str, Any]:
    shown = Webhook.of(webhook).model_dump(mode="json", by_alias=True)
    event = Event(id=new_id(), type=TEST_EVENT, timestamp=datetime.now(UTC), data=shown | {"omitted": None})
    # A subject of its own: a test waits for no other.
    subject: dict[str, Any] = {"subject_id": event.id, "version": 1}
    return {"event": TEST_EVENT, "event_id": event.id, "url": url, "body": event.model_dump_json()} | subject


async def _send(
    resources: Resources, session: AsyncSession, webhook: WebhookEndpoint, messages: Sequence[dict[str, Any]]
) -> list[WebhookDelivery]:
    """Write deliveries down with their jobs, in order, in the caller's transaction."""
    connection = await session_connection(session)
    rows: list[WebhookDelivery] = []
    # Ids of one millisecond are in no order, and jobs that are due at once go by their ids.
    ids, job_ids = (sorted(new_id() for _ in messages) for _ in range(2))
    for message, id_, job_id in zip(messages, ids, job_ids, strict=True):
        own = {"id": id_, "job_id": job_id, "endpoint_id": webhook.id, "url": webhook.url or message["url"]}
        row = WebhookDelivery(**message | own)
        job = delivery_job(
            resources.kinds[KIND], webhook.owner_id, row.id, webhook.id, row.subject_id, resources.settings
        )
        if row.event == TEST_EVENT:
            job = replace(job, max_attempts=1, priority=_MOST_URGENT)
        await enqueue(connection, replace(job, id=job_id))
        rows.append(row)
    session.add_all(rows)
    await session.flush()
    return rows


def _accept(row: WebhookDelivery, webhook: WebhookEndpoint) -> Response:
    shaped = Delivery.of(row, path_of(webhook))
    return Response(shaped.model_dump_json(by_alias=True), 202, {"Location": shaped.links.self_}, "application/json")
