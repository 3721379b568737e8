"""A stored file as its owner sees it: the same shape for GET, lists and events."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shared import models

FILE_EXAMPLE: JsonDict = {
    "id": "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a",
    "name": "harbour.jpg",
    "description": "The harbour at noon",
    "media_type": "image/jpeg",
    "size": 482113,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "purpose": "upload",
    "job_id": None,
    "created_at": "2026-11-24T12:00:00Z",
    "expires_at": "2026-12-24T12:00:00Z",
    "links": {
        "self": "/v1/files/0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a",
        "content": "/v1/files/0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a/content",
    },
}


class FileLinks(BaseModel):
    """Holds the paths of a file's own routes."""

    self_: str = Field(alias="self")
    content: str


class File(BaseModel):
    """Is a stored file as its owner sees it."""

    model_config = ConfigDict(json_schema_extra={"example": FILE_EXAMPLE})

    id: UUID
    name: str = Field(description="The client's name for it, without folders, control or direction marks.")
    description: str | None
    media_type: str = Field(description="Told from the content; the name and the client's claim are not believed.")
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="Of the content, in hexadecimal.")
    purpose: str = Field(description="`upload`, or `output` of a job.", examples=["upload"])
    job_id: UUID | None = Field(description="The job that made it.")
    created_at: datetime
    expires_at: datetime = Field(description="When it will be deleted.")
    links: FileLinks


def file_of(row: models.File) -> File:
    """Shape a row for its owner."""
    path = f"/v1/files/{row.id}"
    return File(
        id=row.id,
        name=row.name,
        description=row.description,
        media_type=row.media_type,
        size=row.size,
        sha256=row.sha256,
        purpose=row.purpose,
        job_id=row.job_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        links=FileLinks.model_validate({"self": path, "content": f"{path}/content"}),
    )
