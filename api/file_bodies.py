"""What the routes of files answer, and how OpenAPI describes the bodies that they read by hand."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.descriptions import LONGEST_DESCRIPTION
from api.problems import Problem
from shared import models
from shared.schemas import Job

MOST_BATCH_FILES = 10

_FILE_EXAMPLE: JsonDict = {
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

    model_config = ConfigDict(json_schema_extra={"example": _FILE_EXAMPLE})

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


def _with_job(schema: JsonDict) -> None:
    job = Job.model_json_schema()["example"]
    inspect = {"kind": "file.inspect", "state": "queued", "input": {"file_id": _FILE_EXAMPLE["id"]}, "tags": []}
    fresh = {"attempt": 0, "version": 1, "started_at": None}
    nothing = {"completed": None, "total": None, "percent": None, "message": None}
    schema["example"] = {"file": _FILE_EXAMPLE, "job": job | inspect | fresh | {"progress": nothing}}


class FileAndJob(BaseModel):
    """Is a stored file and the job that was enqueued with it."""

    model_config = ConfigDict(json_schema_extra=_with_job)

    file: File
    job: Job


class BatchItem(BaseModel):
    """Is what became of one part of a batch: a file or an error."""

    index: int = Field(description="The place of the part among the parts `files`, from 0.")
    file: File | None
    error: Problem | None


class Batch(BaseModel):
    """Tells what became of each part of a batch."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {"index": 0, "file": _FILE_EXAMPLE, "error": None},
                    {
                        "index": 1,
                        "file": None,
                        "error": {
                            "type": "about:blank",
                            "title": "Empty file",
                            "status": 422,
                            "code": "empty_file",
                            "detail": "The file has no content.",
                            "errors": None,
                        },
                    },
                ],
                "failed": 1,
            }
        }
    )

    items: list[BatchItem]
    failed: int = Field(description="How many were refused.")


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


BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def form_schema(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Describe a multipart form."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


FILE_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": form_schema(
                {
                    "file": BINARY | {"description": "The file; its name comes from the part."},
                    "description": {
                        "type": "string",
                        "maxLength": LONGEST_DESCRIPTION,
                        "examples": ["The harbour at noon"],
                    },
                },
                ["file"],
            )
        },
        "application/octet-stream": {
            "schema": BINARY
            | {"description": "The file itself; any Content-Type but multipart will do. Its name: Content-Disposition."}
        },
    },
}

BATCH_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": form_schema(
                {"files": {"type": "array", "items": BINARY, "minItems": 1, "maxItems": MOST_BATCH_FILES}}, ["files"]
            )
        }
    },
}
