"""Problem documents (RFC 9457): what every error looks like from outside."""

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg.errors import ForeignKeyViolation
from psycopg_pool import PoolClosed, PoolTimeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as EngineTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from api.tokens import Unauthorized
from shared.errors import JobyardError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "5"
_MOST_ERRORS = 50

STATUS_TEXTS = {
    400: "The request cannot be read.",
    401: "No credentials, or credentials that are not valid.",
    403: "The caller's role does not allow this.",
    404: "It does not exist, or belongs to somebody else.",
    405: "The method is not allowed here.",
    409: "The state of the resource does not allow this.",
    410: "It was there, and is gone.",
    412: "A precondition that the request names does not hold.",
    413: "The request is larger than allowed.",
    415: "The content's type is not allowed.",
    416: "The range lies outside the content.",
    422: "The input is malformed.",
    423: "Another request is at it; try again.",
    429: "Too many requests.",
    431: "The request's headers are too large.",
    460: "The content does not have the announced checksum.",
    500: "The service failed.",
    503: "PostgreSQL or the storage is away; try again later.",
    507: "The storage is full.",
}


class InputError(BaseModel):
    """Names one thing that is wrong with the input."""

    pointer: str = Field(
        description="Where: a JSON pointer into the body (`/input/width`), or `query/limit`, `path/id`, `header/name`.",
        examples=["/input/renditions/0/width"],
    )
    code: str = Field(description="A stable word for what is wrong.", examples=["greater_than_equal"])
    detail: str = Field(description="What is wrong, for a person.", examples=["Input should be greater than 0"])


class Problem(BaseModel):
    """Describes an error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Job not found",
                "status": 404,
                "code": "job_not_found",
                "detail": "No such job.",
            }
        }
    )

    type: str = Field("about:blank", description="Always about:blank: `code` tells problems apart.")
    title: str
    status: int
    code: str = Field(description="A stable word for programs.")
    detail: str
    errors: list[InputError] | None = Field(None, description="With 422: each thing that is wrong with the input.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare a route's errors for OpenAPI: these, and the ones that every route can have."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": STATUS_TEXTS[status], "content": content}
        for status in sorted({400, 413, 422, 431, 503, *statuses})
    }


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """Make the response of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    # Lone surrogates in an echoed input must not break the answer that complains about them.
    text = orjson.dumps(_encodable(body))
    return Response(text, status, headers, MEDIA_TYPE)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error that can leave a route into a problem document."""
    handlers: dict[type[Exception], Any] = {
        JobyardError: _domain_problem,
        RequestValidationError: _input_problem,
        HTTPException: _http_problem,
        psycopg.Error: _database_problem,
        DBAPIError: _database_problem,
        PoolTimeout: _unavailable,
        PoolClosed: _unavailable,
        EngineTimeout: _unavailable,
        UnicodeEncodeError: _unstorable,
        ClientDisconnect: _aborted,
        Exception: _unexpected,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def domain_problem(error: JobyardError) -> Response:
    """Make the response of an error of the domain."""
    found = errors_of(error)
    errors = None if found is None else [each.model_dump() for each in found]
    headers = error.headers | (
        {"Retry-After": RETRY_AFTER_SECONDS} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    )
    return problem(error.status, error.code, error.title, error.detail, errors=errors, headers=headers)


def errors_of(error: JobyardError, place: str = "") -> list[InputError] | None:
    """Name each thing that an error of the domain points to, within the part of the body that `place` points to."""
    pointers = error.pointers or (() if error.pointer is None else (error.pointer,))
    return [InputError(pointer=place + each, code=error.code, detail=error.detail) for each in pointers] or None


async def _domain_problem(_: Request, error: JobyardError) -> Response:
    return domain_problem(error)


async def _input_problem(request: Request, error: RequestValidationError) -> Response:
    kinds = request.app.state.resources.kinds
    found = [
        {"pointer": _pointer(item["loc"], kinds), "code": item["type"], "detail": item["msg"]}
        for item in error.errors()[:_MOST_ERRORS]
    ]
    return problem(422, "invalid_input", "Invalid input", "The input is malformed; see errors.", errors=found)


def _pointer(location: tuple[str | int, ...], kinds: dict[str, Any]) -> str:
    source, *rest = location
    if source != "body":
        return "/".join(str(part) for part in location)
    # The discriminated union puts the kind's name first; the client never wrote that level.
    if rest and rest[0] in kinds:
        rest = rest[1:]
    return _json_pointer(rest)


def _json_pointer(parts: Iterable[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def input_errors(error: ValidationError, place: str) -> list[InputError]:
    """Name what is wrong with a part of the input, to which the JSON pointer `place` points."""
    return [
        InputError.model_validate(
            _encodable({"pointer": place + _json_pointer(each["loc"]), "code": each["type"], "detail": each["msg"]})
        )
        for each in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
    ]


_HTTP_CODES = {
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}


async def _http_problem(request: Request, error: HTTPException) -> Response:
    code = _HTTP_CODES.get(error.status_code, "http_error")
    detail = STATUS_TEXTS.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # The router names the methods of the first route with this path only.
        headers["Allow"] = ", ".join(_methods_of_path(request))
    return problem(error.status_code, code, str(error.detail), detail, headers=headers)


def _methods_of_path(request: Request) -> list[str]:
    routes = request.app.routes
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _database_problem(request: Request, error: psycopg.Error | DBAPIError) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.DataError):
        return await _unstorable(request, cause)
    if isinstance(cause, psycopg.OperationalError):
        return await _unavailable(request, cause)
    if isinstance(cause, ForeignKeyViolation) and (cause.diag.constraint_name or "").endswith(
        ("_owner_id", "_user_id", "_paused_by", "_sent_by")
    ):
        # The token outlived its user: who would own or have done what was to be written does not exist.
        return await _domain_problem(request, Unauthorized("The user of this access token does not exist."))
    return await _unexpected(request, error)


async def _unavailable(_: Request, error: Exception) -> Response:
    logger.warning("PostgreSQL does not answer: %s", type(error).__name__)
    return problem(
        503, "database_unavailable", "Service unavailable", "The service cannot reach its database; try again later.",
        headers={"Retry-After": RETRY_AFTER_SECONDS},
    )  # fmt: skip


async def _unstorable(_: Request, error: Exception) -> Response:
    logger.info("refused input that cannot be stored: %s", type(error).__name__)
    return problem(
        422,
        "unstorable_text",
        "Invalid input",
        "The input has characters that cannot be stored, such as NUL.",
        errors=[],
    )


async def _aborted(request: Request, _: ClientDisconnect) -> Response:
    # Also the end of a body that breaks the rules of HTTP: the server has answered that itself.
    logger.info("%s %s ended before its body did", request.method, request.scope.get("path"))
    return problem(400, "body_incomplete", "Bad Request", "The body ended early.", headers={"Connection": "close"})


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.scope.get("path"), exc_info=error)
    return problem(500, "internal_error", "Internal error", "The service failed; the failure was logged.")
