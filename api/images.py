"""Pictures to be resized: an upload, or a stored file, becomes an `image.resize` job in one transaction."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from api.content_types import JSON, ContentTypeNotSupported, content_type
from api.file_uploads import is_form
from api.files import store
from api.idempotency import once
from api.idempotency_key import RequestKey
from api.idempotent_uploads import hold
from api.image_orders import ORDER_PARTS, ImageOrder, read_form_order, read_order
from api.image_presets import find_preset
from api.incoming_file import UploadRules
from api.job_actions import accept, answer_accepted
from api.limits import LARGEST_JSON_BYTES
from api.request_body import Body
from api.resources import Resources
from api.transactions import session_connection
from api.upload_errors import BodyTooLarge
from api.uploads import missing_part, receive_form
from shared.job_queue import Enqueued, NewJob, enqueue, job_of
from shared.webhook_urls import require_webhook_url

KIND = "image.resize"


async def resize(
    request: Request,
    resources: Resources,
    owner_id: UUID,
    wait: int | None,
    retention: timedelta,
    key: RequestKey | None,
) -> Response:
    """Enqueue the resizing of a picture, sent along and kept for some time or stored before; once per key.

    Raises `FileNotFound`, `ImagePresetNotFound`, `WebhookUrlNotAllowed`, `QuotaExceeded`, `StorageFull`,
    `StorageUnavailable`, the errors of `api.upload_errors` and `api.idempotency`.
    """
    if is_form(request):
        accepted = await _resize_upload(request, resources, owner_id, retention, key)
    elif content_type(request) == JSON:
        accepted = await _resize_stored(request, resources, owner_id, key)
    else:
        raise ContentTypeNotSupported("Send a picture as multipart/form-data, or name a stored one in JSON.")
    return await answer_accepted(resources, owner_id, accepted, wait)


async def _resize_upload(
    request: Request, resources: Resources, owner_id: UUID, retention: timedelta, key: RequestKey | None
) -> Response:
    limits = resources.kinds[KIND].file_limits(resources.settings)
    rules = replace(UploadRules.of(resources, owner_id), text_parts=ORDER_PARTS, limits=limits)
    async with (
        hold(resources.ledger, key) as held,
        receive_form(request, replace(rules, kept=not held.answered)) as form,
    ):
        if not form.files:
            raise missing_part("file")
        order = read_form_order(form.files[0].id, form.texts)
        # Before the preset is looked up: it may be another one by now, or gone.
        if (first := await held.replay(form)) is not None:
            return first
        async with resources.sessions() as session:
            new = await _job_of(resources, session, owner_id, order)
        return await store(resources, owner_id, form, held, partial(_accept, resources), retention, new_job=new)


async def _job_of(resources: Resources, session: AsyncSession, owner_id: UUID, order: ImageOrder) -> NewJob:
    """Make the job of an order. A preset is written out into it: what it becomes later changes no job."""
    if order.webhook_url is not None:
        require_webhook_url(order.webhook_url, resources.settings, pointer="/webhook_url")
    given = order.model_dump(exclude={"preset", "webhook_url"})
    if order.preset is not None:
        given["renditions"] = (await find_preset(session, owner_id, order.preset, pointer="/preset")).renditions
    kind = resources.kinds[KIND]
    new = job_of(kind, owner_id, kind.input_model.model_validate(given), resources.settings)
    return replace(new, webhook_url=order.webhook_url)


def _accept(resources: Resources, _: object, enqueued: Enqueued | None) -> Response:
    if enqueued is None:
        raise RuntimeError("a job was given, so one was enqueued")
    return accept(resources, enqueued)


async def _resize_stored(request: Request, resources: Resources, owner_id: UUID, key: RequestKey | None) -> Response:
    body = Body(request, LARGEST_JSON_BYTES, BodyTooLarge)
    text = bytearray()
    with body.guarded():
        async for chunk in body.chunks():
            text += chunk
    order = read_order(text)
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            new = replace(await _job_of(resources, session, owner_id, order), input_pointer="")
            return accept(resources, await enqueue(connection, new))

        keyed = None if key is None else key.with_json(bytes(text))
        accepted = await once(connection, keyed, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    return accepted
