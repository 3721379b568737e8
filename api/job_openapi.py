"""How routes that answer with a job declare it."""

from typing import Any

from api.idempotency_key import REPLAYED_HEADER
from shared.schemas import Job

BODY_SCHEMA = "NewJob"
"""The name of the schema of `POST /v1/jobs`' body."""

JOB_HEADERS: dict[str, Any] = {
    "ETag": {"schema": {"type": "string"}, "description": "The job's version, quoted."},
    "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds after which to ask again; not once done."},
}
_LOCATION: dict[str, Any] = {"Location": {"schema": {"type": "string"}, "description": "The job's path."}}
JOB_READ: dict[int | str, dict[str, Any]] = {
    200: {"model": Job, "description": "The job.", "headers": JOB_HEADERS},
}
JOB_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Job,
        "description": "Accepted: the job is committed and will reach exactly one terminal state.",
        "headers": _LOCATION | JOB_HEADERS | REPLAYED_HEADER,
    },
}
JOB_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": Job,
        "description": "The job: it was there before, or it was done in time.",
        "headers": _LOCATION | JOB_HEADERS | REPLAYED_HEADER,
    },
    **JOB_ACCEPTED,
}
"""The answers of a route that enqueues a job and may wait for it."""
JOB_ID_PARAMETER: dict[str, Any] = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
}
PREFER_PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`wait=N`: wait up to N seconds, 30 at most.",
    "example": "wait=10",
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "An ETag: 304 while the job still has it.",
}
