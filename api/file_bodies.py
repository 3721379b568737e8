"""What the routes of files answer, and how OpenAPI describes the bodies that they read by hand."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.descriptions import LONGEST_DESCRIPTION
from api.problems import Problem
from shared.file_shapes import FILE_EXAMPLE, File
from shared.schemas import Job

MOST_BATCH_FILES = 10


def _with_job(schema: JsonDict) -> None:
    job = Job.model_json_schema()["example"]
    inspect = {"kind": "file.inspect", "state": "queued", "input": {"file_id": FILE_EXAMPLE["id"]}, "tags": []}
    fresh = {"attempt": 0, "version": 1, "started_at": None}
    nothing = {"completed": None, "total": None, "percent": None, "message": None}
    schema["example"] = {"file": FILE_EXAMPLE, "job": job | inspect | fresh | {"progress": nothing}}


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
                    {"index": 0, "file": FILE_EXAMPLE, "error": None},
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
