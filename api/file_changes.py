"""Changing what is known of a file: its name, its description, when it expires."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import func, select

from api.descriptions import LONGEST_DESCRIPTION, clean_description
from api.due_times import Moment
from api.file_names import clean_name
from api.resources import Resources
from api.retention import SHORTEST_SECONDS, require_allowed
from shared import models
from shared.errors import FileNotFound
from shared.settings import Settings

LONGEST_NAME = 1000

# Measured first: what is left of a description may be nothing.
_Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(clean_name)]
_Description = Annotated[str, Field(max_length=LONGEST_DESCRIPTION), AfterValidator(clean_description)]


class FileChange(BaseModel):
    """Says what to change of a file; what is left out stays. `expires_at` and `expires_in` exclude each other."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "harbour at noon.jpg", "expires_in": 7776000}},
    )

    name: _Name = Field("", description="Cleaned as the name of an upload is.")
    description: _Description | None = Field(None, description="Null takes it away.")
    expires_at: Moment | None = Field(
        None,
        description="When to delete it: a minute from now at the earliest, and no later than `/v1/limits` tells.",
        examples=["2026-12-24T12:00:00Z"],
    )
    expires_in: int | None = Field(
        None, ge=SHORTEST_SECONDS, strict=True, le=2**53, description="In how many seconds to delete it."
    )

    @model_validator(mode="after")
    def _require_one_expiry(self) -> Self:
        if self.expires_at is not None and self.expires_in is not None:
            raise PydanticCustomError("expiry_twice", "Send either expires_at or expires_in")
        return self

    def columns(self, settings: Settings, now: datetime) -> dict[str, Any]:
        """Give the columns to change; raises `RetentionNotAllowed`."""
        columns = self.model_dump(include=self.model_fields_set & {"name", "description"})
        if self.expires_at is not None:
            require_allowed(settings, self.expires_at - now, "/expires_at")
            columns["expires_at"] = self.expires_at
        if self.expires_in is not None:
            # Bounded first: a timedelta takes no number of seconds that the schema lets through.
            seconds = min(self.expires_in, int(settings.longest_retention.total_seconds()) + 1)
            columns["expires_at"] = now + require_allowed(settings, timedelta(seconds=seconds), "/expires_in")
        return columns


async def change_file(resources: Resources, owner_id: UUID, file_id: UUID, change: FileChange) -> models.File:
    """Change an owner's file; raises `FileNotFound`, also when it is cleaned away just now, `RetentionNotAllowed`."""
    async with resources.sessions.begin() as session:
        # Not against jobs that take the file meanwhile, but against the clean-up, which leaves locked files alone.
        found = await session.execute(
            select(models.File, func.clock_timestamp())
            .where(models.File.id == file_id, models.File.owner_id == owner_id)
            .with_for_update(of=models.File, key_share=True)
        )
        row = found.one_or_none()
        if row is None:
            raise FileNotFound("No such file.")
        file, now = row
        for name, value in change.columns(resources.settings, now).items():
            setattr(file, name, value)
    return file
