"""Pictures to be resized: an upload, or a stored file, becomes an `image.resize` job in one transaction."""

import json
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.content_types import JSON, ContentTypeNotSupported, content_type
from api.file_bodies import BINARY, form_schema
from api.file_uploads import is_form
from api.files import find_file, store
from api.idempotency import once
from api.idempotency_key import RequestKey
from api.idempotent_uploads import hold
from api.incoming_file import UploadRules
from api.job_actions import accept, answer_accepted
from api.limits import LARGEST_JSON_BYTES
from api.request_body import Body
from api.resources import Resources
from api.transactions import session_connection
from api.upload_errors import BodyTooLarge, MediaTypeNotAllowed, PartNotValid
from api.uploads import missing_part, receive_form
from shared.job_kind import JobInput, JobKind
from shared.job_queue import Enqueued, enqueue, job_of

KIND = "image.resize"
MEDIA_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})

_PLAIN_PARTS = ("width", "height", "format", "quality")
_Location = tuple[int | str, ...]


async def resize(
    request: Request, resources: Resources, owner_id: UUID, wait: int | None, key: RequestKey | None
) -> Response:
    """Enqueue the resizing of a picture, sent along or stored before; once per key.

    Raises `FileNotFound`, the errors of `api.upload_errors` and `api.idempotency`, `StorageFull`, `StorageUnavailable`.
    """
    if is_form(request):
        accepted = await _resize_upload(request, resources, owner_id, key)
    elif content_type(request) == JSON:
        accepted = await _resize_stored(request, resources, owner_id, key)
    else:
        raise ContentTypeNotSupported("Send a picture as multipart/form-data, or name a stored one in JSON.")
    return await answer_accepted(resources, owner_id, accepted, wait)


async def _resize_upload(request: Request, resources: Resources, owner_id: UUID, key: RequestKey | None) -> Response:
    kind = resources.kinds[KIND]
    parts = frozenset({"renditions", *_PLAIN_PARTS})
    rules = replace(UploadRules.of(resources, owner_id), text_parts=parts, only=MEDIA_TYPES)
    async with (
        hold(resources.ledger, key) as held,
        receive_form(request, replace(rules, kept=not held.answered)) as form,
    ):
        if not form.files:
            raise missing_part("file")
        new = job_of(kind, owner_id, _input_of_form(kind, form.files[0].id, form.texts))
        if (first := await held.replay(form)) is not None:
            return first
        return await store(resources, owner_id, form, held, partial(_accept, resources), new_job=new)


def _accept(resources: Resources, _: object, enqueued: Enqueued | None) -> Response:
    if enqueued is None:
        raise RuntimeError("a job was given, so one was enqueued")
    return accept(resources, enqueued)


def _input_of_form(kind: JobKind, file_id: UUID, texts: dict[str, str]) -> JobInput:
    plain = {name: texts[name] for name in _PLAIN_PARTS if texts.get(name)}
    if "renditions" not in texts:
        if not plain:
            raise missing_part("renditions")
        return _check(kind, {"file_id": file_id, "renditions": [plain]}, within=("renditions", 0))
    if plain:
        raise PartNotValid("Send either renditions or plain parts.", pointer=f"/{next(iter(plain))}")
    return _check(kind, {"file_id": file_id, "renditions": _decode(texts["renditions"], ("renditions",))})


async def _resize_stored(request: Request, resources: Resources, owner_id: UUID, key: RequestKey | None) -> Response:
    kind = resources.kinds[KIND]
    body = Body(request, LARGEST_JSON_BYTES, BodyTooLarge)
    text = bytearray()
    with body.guarded():
        async for chunk in body.chunks():
            text += chunk
    new = job_of(kind, owner_id, _check(kind, _decode(text, ())))
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            for file_id in new.file_ids:
                file = await find_file(session, owner_id, file_id)
                if file.media_type not in MEDIA_TYPES:
                    raise MediaTypeNotAllowed(f"The file is {file.media_type}, which cannot be resized.")
            return accept(resources, await enqueue(connection, new))

        keyed = None if key is None else key.with_json(bytes(text))
        accepted = await once(connection, keyed, session.begin_nested, write)
    resources.nudger.nudge()
    return accepted


def _decode(text: str | bytearray, location: _Location) -> Any:
    try:
        return json.loads(text)
    # A RecursionError is a document nested too deeply.
    except (ValueError, RecursionError) as error:
        raise _invalid({"type": "json_invalid", "loc": location, "msg": "It is not JSON."}) from error


def _check(kind: JobKind, given: Any, within: _Location = ()) -> JobInput:
    try:
        return kind.input_model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    items = [dict(item) | {"loc": _without(within, item["loc"])} for item in found]
    raise _invalid(*items)


def _without(within: _Location, location: _Location) -> _Location:
    # A client that sent plain parts never wrote the levels around them.
    return location[len(within) :] if location[: len(within)] == within else location


def _invalid(*items: dict[str, Any]) -> RequestValidationError:
    return RequestValidationError([item | {"loc": ("body", *item["loc"])} for item in items])


def image_body(kind: JobKind) -> dict[str, Any]:
    """Describe the bodies of `POST /v1/images` for OpenAPI."""
    schema = kind.input_model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    renditions: dict[str, Any] = schema["properties"]["renditions"]
    plain: dict[str, Any] = renditions.get("items", {}).get("properties", {})
    form = form_schema(
        {
            "file": BINARY | {"description": "The picture: JPEG, PNG, WebP, GIF or AVIF."},
            "renditions": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": renditions,
                "description": "The list of renditions as JSON; or send one as plain parts.",
                "examples": ['[{"width": 800, "format": "webp"}]'],
            },
            **{name: plain[name] for name in _PLAIN_PARTS if name in plain},
        },
        ["file"],
    )
    example = {
        "file_id": "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a",
        "renditions": [{"width": 800, "height": 600, "format": "webp"}],
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            "application/json": {"schema": schema, "example": example},
        },
    }


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(item, definitions) for key, item in schema.items()}
