"""Uploads of files for their own sake: one, one with a job, or a batch."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID

from fastapi import Request, Response
from pydantic import ValidationError

from api.content_types import ContentTypeNotSupported, content_type
from api.descriptions import clean_description
from api.file_bodies import MOST_BATCH_FILES, Batch, BatchItem, FileAndJob
from api.file_names import disposition_parameters
from api.files import store
from api.idempotency_key import RequestKey
from api.idempotent_uploads import hold
from api.incoming_file import UploadRules
from api.problems import Problem
from api.resources import Resources
from api.upload_errors import KindNotSuited, PartNotValid
from api.uploads import Form, missing_part, receive_form, receive_raw
from shared import models
from shared.errors import JobyardError
from shared.file_shapes import file_of
from shared.job_kind import JobInput, JobKind
from shared.job_queue import Enqueued, job_of
from shared.job_row import job_frame
from shared.schemas import Job
from shared.settings import Settings
from shared.webhook_urls import WebhookUrlNotAllowed, require_webhook_url


def is_form(request: Request) -> bool:
    """Tell whether a request's body is a multipart form; raises `ContentTypeNotSupported` for other multiparts."""
    declared = content_type(request)
    if declared.startswith("multipart/") and declared != "multipart/form-data":
        raise ContentTypeNotSupported("Of the multipart types only multipart/form-data is read.")
    return declared == "multipart/form-data"


async def upload(
    request: Request,
    resources: Resources,
    owner_id: UUID,
    process: str | None,
    webhook_url: str | None,
    retention: timedelta,
    key: RequestKey | None,
) -> Response:
    """Store one file, and enqueue the job `process` for it if asked to; once per key.

    Raises the errors of `api.upload_errors` and `api.idempotency`, `WebhookUrlNotAllowed`, `StorageFull` and
    `StorageUnavailable`.
    """
    kind = None if process is None else _suited_kind(resources, process)
    if webhook_url is not None:
        _require_url_of_job(webhook_url, kind, resources.settings)
    rules = replace(UploadRules.of(resources, owner_id), text_parts=frozenset({"description"}))
    if kind is not None:
        rules = replace(rules, limits=kind.file_limits(resources.settings))
    as_form = is_form(request)
    async with (
        hold(resources.ledger, key) as held,
        (receive_form if as_form else _receive_raw)(request, replace(rules, kept=not held.answered)) as form,
    ):
        if not form.files:
            raise missing_part("file")
        description = _description(form)
        if (first := await held.replay(form)) is not None:
            return first
        new = None
        if kind is not None:
            new = job_of(kind, owner_id, _only_file(kind, form.files[0].id), resources.settings)
            new = replace(new, webhook_url=webhook_url)
        answer = partial(_uploaded, resources)
        return await store(resources, owner_id, form, held, answer, retention, description=description, new_job=new)


def _require_url_of_job(url: str, kind: JobKind | None, settings: Settings) -> None:
    pointer = "query/webhook_url"
    if kind is None:
        raise WebhookUrlNotAllowed("Without `process` there is no job whose end could be told.", pointer=pointer)
    require_webhook_url(url, settings, pointer=pointer)


def _receive_raw(request: Request, rules: UploadRules) -> AbstractAsyncContextManager[Form]:
    disposition = request.headers.get("content-disposition", "").encode("latin-1")
    return receive_raw(request, rules, disposition_parameters(disposition).get("filename"))


def _uploaded(resources: Resources, rows: Sequence[models.File], enqueued: Enqueued | None) -> Response:
    stored = file_of(rows[0])
    if enqueued is None:
        return _created(stored.model_dump_json(by_alias=True), {"Location": stored.links.self_})
    job = Job.model_validate(job_frame(enqueued.row, resources.job_retention))
    both = FileAndJob(file=stored, job=job).model_dump_json(by_alias=True)
    return Response(both, 202, {"Location": job.links.self_, "Retry-After": "1"}, "application/json")


async def upload_batch(
    request: Request, resources: Resources, owner_id: UUID, retention: timedelta, key: RequestKey | None
) -> Response:
    """Store up to ten files, each for itself; raises `NothingStored`, otherwise as `upload`."""
    if not is_form(request):
        raise ContentTypeNotSupported("A batch is sent as multipart/form-data.")
    rules = replace(UploadRules.of(resources, owner_id), file_part="files", most_files=MOST_BATCH_FILES)
    async with (
        hold(resources.ledger, key) as held,
        receive_form(request, replace(rules, kept=not held.answered)) as form,
    ):
        if not form.files:
            raise missing_part("files")
        if (first := await held.replay(form)) is not None:
            return first
        return await store(resources, owner_id, form, held, partial(_uploaded_batch, form), retention)


def _uploaded_batch(form: Form, rows: Sequence[models.File], _: Enqueued | None) -> Response:
    stored = {row.id: file_of(row) for row in rows}
    items = [
        BatchItem(index=index, file=stored.get(file.id), error=_problem(file.refusal))
        for index, file in enumerate(form.files)
    ]
    batch = Batch(items=items, failed=len(form.files) - len(rows))
    return _created(batch.model_dump_json(by_alias=True), {})


def _created(body: str, headers: dict[str, str]) -> Response:
    return Response(body, 201, headers, "application/json")


def _problem(error: JobyardError | None) -> Problem | None:
    if error is None:
        return None
    return Problem(
        type="about:blank", title=error.title, status=error.status, code=error.code, detail=error.detail, errors=None
    )


def _description(form: Form) -> str | None:
    try:
        return clean_description(form.texts.get("description", ""))
    except ValueError as error:
        raise PartNotValid(str(error), pointer="/description") from error


def _suited_kind(resources: Resources, name: str) -> JobKind:
    kind = resources.kinds.get(name)
    if kind is None or kind.access != "public":
        raise KindNotSuited(f"There is no public kind of job {name!r}.", pointer="query/process")
    _only_file(kind, UUID(int=0))
    return kind


def _only_file(kind: JobKind, file_id: UUID) -> JobInput:
    try:
        checked = kind.input_model.model_validate({"file_id": file_id})
    except ValidationError:
        checked = None
    if checked is None or checked.file_ids() != [file_id]:
        raise KindNotSuited(f"{kind.name} needs more than a file: enqueue it at /v1/jobs.", pointer="query/process")
    return checked
