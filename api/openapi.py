"""The OpenAPI document: FastAPI's, with the schema of problems that all routes share."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from api import event_docs
from api.job_bodies import JobBody
from api.job_openapi import BODY_SCHEMA
from api.mailing_bodies import MailingBody
from api.problems import Problem

DESCRIPTION = """
Uploads, images, e-mails and long jobs, done outside your own application's requests.

A `202` means: committed. Poll the job (`ETag`, `Retry-After`), or wait for it with `Prefer: wait=N`.
Or follow it: by server-sent events, or by the WebSocket `/v1/ws`, whose messages are in `docs/streams.md`.
Errors are `application/problem+json` with a stable `code`.
"""


def describe(app: FastAPI, bodies: TypeAdapter[JobBody]) -> dict[str, Any]:
    """Make the document once and remember it."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="Jobyard", version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
        )
        _, schemas = models_json_schema(
            [(Problem, "serialization"), (MailingBody, "validation")], ref_template="#/components/schemas/{model}"
        )
        body = bodies.json_schema(ref_template="#/components/schemas/{model}")
        document["webhooks"] = event_docs.webhooks()
        document["components"]["schemas"] |= (
            event_docs.event_schemas() | schemas["$defs"] | body.pop("$defs", {}) | {BODY_SCHEMA: body}
        )
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema
