"""How OpenAPI describes `POST /v1/images`: bodies that the route reads by hand, and a job whose result is known."""

from typing import Any

from pydantic import ConfigDict, Field, create_model

from api.file_bodies import BINARY, form_schema
from api.image_orders import PLAIN_PARTS, ImageOrder
from api.job_openapi import JOB_RESPONSES
from shared.job_kind import JobKind
from shared.schemas import Job


def image_body() -> dict[str, Any]:
    """Describe the bodies: a form, or JSON."""
    schema = ImageOrder.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    # Null is how Pydantic says that it may be left out.
    optional = ("renditions", "preset", "webhook_url")
    renditions, preset, webhook_url = (schema["properties"][name]["anyOf"][0] for name in optional)
    form = form_schema(
        {
            "file": BINARY | {"description": "The picture: JPEG, PNG, WebP, GIF, AVIF, or HEIC where it can be read."},
            "renditions": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": renditions,
                "description": "The list of renditions as JSON; or name a preset, or send plain parts.",
                "examples": ['[{"width": 800, "format": "webp"}]'],
            },
            "preset": preset | {"description": "A preset of yours, as it is now.", "examples": ["product-page"]},
            "webhook_url": webhook_url,
            "keep_copyright": schema["properties"]["keep_copyright"],
            **{name: renditions["items"]["properties"][name] for name in PLAIN_PARTS},
        },
        ["file"],
    )
    example = schema.pop("example")
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": form},
            "application/json": {"schema": schema, "example": example},
        },
    }


def image_responses(kind: JobKind) -> dict[int | str, dict[str, Any]]:
    """Describe the answers: a job of this kind."""

    class ImageJob(Job):
        """Is a job that resizes a picture."""

        model_config = ConfigDict(json_schema_extra={"example": _example(kind)})

    fields: dict[str, Any] = {
        "input": (kind.input_model, ...),
        "result": (kind.result_model | None, Field(description="Only when succeeded.")),
    }
    model = create_model("ImageJob", __base__=ImageJob, __doc__=ImageJob.__doc__, **fields)
    return {status: answer | {"model": model} for status, answer in JOB_RESPONSES.items()}


def _example(kind: JobKind) -> dict[str, Any]:
    made: dict[str, Any] = kind.result_model.model_json_schema()["example"]
    order = ImageOrder.model_json_schema()["example"]
    job: dict[str, Any] = Job.model_json_schema()["example"]
    job_input = kind.input_model.model_validate(order).model_dump(mode="json")
    ended = {"state": "succeeded", "done": True, "finished_at": "2026-11-24T12:00:02Z", "tags": [], "queue": kind.queue}
    progress = {"completed": 2, "total": 2, "percent": 100.0, "message": "2 of 2 renditions"}
    return job | ended | {"kind": kind.name, "progress": progress, "input": job_input, "result": made}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(item, definitions) for key, item in schema.items()}
