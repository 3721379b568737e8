"""Cleaning up files by hand: the job that otherwise beat enqueues, the operator's own."""

from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from api.idempotency_key import RequestKey
from api.job_actions import create
from api.resources import Resources
from shared.job_queue import job_of

KIND = "files.clean"


class CleanBody(BaseModel):
    """Asks for a clean-up of files."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"dry_run": True}})

    dry_run: bool = Field(strict=True, description="Delete nothing; the result lists what would go.")


async def enqueue_clean(
    resources: Resources, owner_id: UUID, body: CleanBody, wait: int | None, key: RequestKey | None
) -> Response:
    """Enqueue a clean-up of all owners' files."""
    kind = resources.kinds[KIND]
    checked = kind.input_model.model_validate({"dry_run": body.dry_run})
    return await create(resources, job_of(kind, owner_id, checked, resources.settings), wait, key)
