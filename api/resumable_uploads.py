"""Resumable uploads (tus 1.0): beginning, continuing, asking and ending one. A finished one is a file with its id."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from uuid import UUID

from fastapi import Request, Response

from api.content_types import content_type
from api.idempotency_key import HEADER, RequestKey
from api.incoming_file import UploadRules
from api.request_body import Body
from api.resources import Resources
from api.tus_body import append
from api.tus_errors import OffsetMismatch, UploadFinished, UploadHeaderNotValid, UploadNotFound, UploadTakenOver
from api.tus_finish import drop, finish
from api.tus_headers import (
    BODY_TYPE,
    CHECKSUM_ALGORITHMS,
    EXTENSIONS,
    FILE_HEADER,
    PREFIX,
    VERSION,
    Checksum,
    Metadata,
    expires,
    read_checksum,
    read_length,
    read_metadata,
    read_number,
    require_body_type,
)
from api.tus_rows import Claim, TusRows, UploadState
from api.upload_errors import EmptyFile
from api.upload_rows import UploadExpired
from shared.errors import FileTooLarge, MediaTypeNotAllowed


def describe_protocol(resources: Resources) -> Response:
    """Tell what of the protocol is spoken here."""
    return Response(
        status_code=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(resources.settings.max_upload_bytes),
            "Tus-Checksum-Algorithm": ",".join(CHECKSUM_ALGORITHMS),
        },
    )


async def create_upload(
    request: Request, resources: Resources, owner_id: UUID, retention: timedelta, key: RequestKey | None
) -> Response:
    """Begin an upload, with its first bytes or without; when that fails, nothing of it is left.

    Its file is kept for `retention` from then on when it is there. Raises `UploadHeaderNotValid`, `EmptyFile`,
    `FileTooLarge`, the errors of `TusRows.begin`, and with a body as `append_to_upload`.
    """
    length, metadata = read_length(request.headers), read_metadata(request.headers)
    checksum = read_checksum(request.headers)
    rows, body = TusRows(resources, owner_id), Body(request, length)
    with body.guarded():
        _require_size(resources, length)
        with_body = content_type(request) == BODY_TYPE
        if not with_body:
            await _require_no_body(request)
        claim, answer = await rows.begin(
            length, metadata, retention, _begun_once(key, length, metadata, with_body=with_body)
        )
        if answer.headers.get("location") != f"{PREFIX}/{claim.id}":
            return await _with_progress(rows, answer)
        async with _dropped_on_error(resources, rows, claim):
            if with_body:
                await append(body, UploadRules.of(resources, owner_id), rows, claim, checksum)
            state = await _finished_if_whole(resources, rows, owner_id, claim.id)
    answer.headers.update(_progress(claim.id, state))
    return answer


def _begun_once(key: RequestKey | None, length: int, metadata: Metadata, *, with_body: bool) -> RequestKey | None:
    if key is None:
        return None
    if with_body:
        raise UploadHeaderNotValid("With content a creation is not repeated.", pointer=f"header/{HEADER}")
    return key.with_body({"length": length, "metadata": metadata.raw})


async def _with_progress(rows: TusRows, answer: Response) -> Response:
    """Add to the first answer of a repeated creation where its upload is by now, if it is there."""
    upload_id = answer.headers.get("location", "").rpartition("/")[2]
    state = await rows.read(UUID(upload_id)) if upload_id else None
    if state is not None:
        answer.headers.update(_progress(UUID(upload_id), state))
    return answer


def _require_size(resources: Resources, length: int) -> None:
    if length == 0:
        raise EmptyFile("The file has no content.")
    if length > resources.settings.max_upload_bytes:
        raise FileTooLarge(f"The file is larger than {resources.settings.max_upload_bytes} bytes.")


async def _require_no_body(request: Request) -> None:
    async with contextlib.aclosing(request.stream()) as stream:
        async for chunk in stream:
            if chunk:
                require_body_type(content_type(request))


@contextlib.asynccontextmanager
async def _dropped_on_error(resources: Resources, rows: TusRows, claim: Claim) -> AsyncGenerator[None]:
    try:
        yield
    except BaseException:
        # Its client was never told where it is, so nobody could continue it.
        await asyncio.shield(drop(resources, rows, claim.id))
        raise


async def append_to_upload(request: Request, resources: Resources, owner_id: UUID, upload_id: UUID) -> Response:
    """Continue an upload where it is; the last byte makes it a file before this is answered.

    Raises `UploadHeaderNotValid`, `ContentTypeNotSupported`, `UploadNotFound`, `UploadExpired`, `OffsetMismatch`,
    `FileTooLarge`, and the errors of `tus_body.append` and `tus_finish.finish`.
    """
    body, rows = Body(request, resources.settings.max_upload_bytes), TusRows(resources, owner_id)
    with body.guarded():
        require_body_type(content_type(request))
        offset, checksum = read_number(request.headers, "Upload-Offset"), read_checksum(request.headers)
        claim = await rows.claim(upload_id, offset, body.length or 0)
        if claim is None:
            await _require_whole(await rows.read(upload_id), body, offset)
        else:
            body.narrow(claim.length - offset)
            await _append(body, resources, owner_id, claim, checksum)
        state = await _finished_if_whole(resources, rows, owner_id, upload_id)
    return Response(status_code=204, headers=_progress(upload_id, state))


async def _require_whole(state: UploadState | None, body: Body, offset: int) -> None:
    """Explain why an upload could not be claimed; that is right only when all of it is there and nothing more comes."""
    state = _existing(state)
    if state.received != offset:
        raise OffsetMismatch(f"The upload is at {state.received}, not at {offset}.")
    body.narrow(state.length - offset)
    if state.received < state.length:
        raise UploadTakenOver("Another request continued this upload just now.")
    async with contextlib.aclosing(body.chunks()) as chunks:
        async for _ in chunks:
            """Any byte is one too many, which the body's limit says."""


async def _append(body: Body, resources: Resources, owner_id: UUID, claim: Claim, checksum: Checksum | None) -> None:
    rows = TusRows(resources, owner_id)
    try:
        await append(body, UploadRules.of(resources, owner_id), rows, claim, checksum)
    except MediaTypeNotAllowed:
        await drop(resources, rows, claim.id, claim.claim_id)
        raise
    except UploadTakenOver:
        _existing(await rows.read(claim.id))
        raise


async def read_upload(resources: Resources, owner_id: UUID, upload_id: UUID) -> Response:
    """Tell where an upload is to be continued; one of which every byte is stored is made a file first.

    Raises `UploadNotFound`, `UploadExpired`, and the errors of `tus_finish.finish`.
    """
    rows = TusRows(resources, owner_id)
    state = await _finished_if_whole(resources, rows, owner_id, upload_id)
    headers = {"Upload-Length": str(state.length), "Cache-Control": "no-store"}
    if state.announced is not None:
        headers["Upload-Metadata"] = state.announced
    return Response(status_code=200, headers=headers | _progress(upload_id, state))


async def end_upload(resources: Resources, owner_id: UUID, upload_id: UUID) -> None:
    """Give an upload up, whoever appends to it; raises `UploadNotFound`, and `UploadFinished` when it is a file."""
    rows = TusRows(resources, owner_id)
    if not await drop(resources, rows, upload_id):
        _existing(await rows.read(upload_id))
        raise UploadFinished(f"It is a file by now: DELETE /v1/files/{upload_id} deletes it.")


async def _finished_if_whole(resources: Resources, rows: TusRows, owner_id: UUID, upload_id: UUID) -> UploadState:
    state = _existing(await rows.read(upload_id))
    if state.finished or state.received < state.length:
        return state
    await finish(resources, owner_id, upload_id)
    return _existing(await rows.read(upload_id))


def _existing(state: UploadState | None) -> UploadState:
    if state is None:
        raise UploadNotFound("No such upload.")
    if state.expired:
        raise UploadExpired("The upload was not continued in time.")
    return state


def _progress(upload_id: UUID, state: UploadState) -> dict[str, str]:
    more = {FILE_HEADER: f"/v1/files/{upload_id}"} if state.finished else expires(state.expires_at)
    return {"Upload-Offset": str(state.received)} | more
