"""The body of `POST /v1/jobs`: one model per public kind, told apart by `kind`, made from the registry."""

from functools import cache
from typing import Annotated, Any, Literal, Union
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from api.due_times import LONGEST_DELAY, DueTime
from shared.job_kind import JobInput, JobKind
from shared.job_queue import NewJob
from shared.settings import Settings
from shared.webhook_urls import LONGEST_URL, require_webhook_url

WebhookUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="Where to tell the job's end, besides your webhooks; signed with the secret at "
        "`/v1/webhooks/for-jobs/secret`.",
        examples=["https://app.example.com/hooks/jobyard"],
    ),
]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.:/-]+$")]


class JobOptions(BaseModel):
    """Is what can be said of a job of any kind."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Tag] = Field(default_factory=list, max_length=20)
    priority: int = Field(0, ge=-100, le=100, strict=True, description="Higher goes first.")
    run_at: DueTime | None = Field(None, description="Not before this time; a time that has passed means at once.")
    ttl_seconds: float | None = Field(
        None,
        gt=0,
        le=LONGEST_DELAY.total_seconds(),
        strict=True,
        description="The job expires if it has not started in this time.",
    )
    unique_key: str | None = Field(
        None, min_length=1, max_length=200, description="At most one live job per owner, kind and key."
    )
    concurrency_key: str | None = Field(
        None, min_length=1, max_length=200, description="Your jobs of this kind and key run only so many at once."
    )
    max_attempts: int | None = Field(None, ge=1, le=100, strict=True, description="Default: the kind's own.")
    webhook_url: WebhookUrl | None = None


class JobBody(JobOptions):
    """Is the base of the bodies of all kinds."""

    kind: str
    input: JobInput


@cache
def body_model(kind: JobKind) -> type[JobBody]:
    """Make the body model of one kind."""
    words = "".join(part.title() for part in kind.name.replace("_", ".").split("."))
    fields: dict[str, Any] = {
        "kind": (Literal[kind.name], Field(description=kind.summary)),
        "input": (kind.input_model, ...),
    }
    return create_model(f"{words}Job", __base__=JobBody, __doc__=kind.summary, **fields)


def job_body_type(kinds: dict[str, JobKind]) -> Any:
    """Make the annotation of the body: the union of the public kinds, discriminated by `kind`."""
    models = [body_model(kind) for _, kind in sorted(kinds.items()) if kind.access == "public"]
    if not models:
        raise ValueError("no public kind of job is loaded")
    if len(models) == 1:
        # A union of one is that one, and a plain model cannot have a discriminator.
        return models[0]
    return Annotated[Union[tuple(models)], Field(discriminator="kind")]  # noqa: UP007 - known at run time only


def new_job(settings: Settings, owner_id: UUID, kind: JobKind, body: JobBody) -> NewJob:
    """Make the job that a body asks for; raises `WebhookUrlNotAllowed`."""
    if body.webhook_url is not None:
        require_webhook_url(body.webhook_url, settings, pointer="/webhook_url")
    return NewJob(
        owner_id=owner_id,
        kind=kind.name,
        queue=kind.queue,
        input=body.input.model_dump(mode="json"),
        max_attempts=body.max_attempts or kind.max_attempts,
        priority=body.priority,
        tags=body.tags,
        unique_key=body.unique_key,
        concurrency_key=body.concurrency_key or "",
        run_at=body.run_at,
        ttl_seconds=body.ttl_seconds,
        webhook_url=body.webhook_url,
        silent=kind.silent,
        file_ids=body.input.file_ids(),
        file_limits=kind.file_limits(settings),
        input_pointer="/input",
    )
