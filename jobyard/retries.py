"""Requests that are sent again until they are answered: when, how often, and what an error answer says."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

from jobyard.errors import (
    AnswerNotValid,
    ConnectionFailed,
    InputProblem,
    JobyardError,
    RateLimited,
    ServerError,
    Unavailable,
    class_of,
)
from jobyard.flows import Answer, Body, Flow, Open, Opened, Request, Send, sleep

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 20.0
LONGEST_RETRY_AFTER_SECONDS = 120.0
"""A server that asks for more is not waited for; the error says how long it asked for."""

KEY_HEADER = "Idempotency-Key"

AWAY = (ConnectionFailed, Unavailable, RateLimited)
"""What a server that is away for a while, or has too much to do, looks like."""

_REPEATED = {423, 429, 502, 503, 504}
_REFUSED_UNDONE = {429, 503}
_BUSY_CODES = {"idempotency_key_in_use", "upload_busy"}
"""An earlier sending of the same request is still at it: nobody else has its key."""


def with_key(request: Request, key: str | None = None) -> Request:
    """Give a POST a key, so that the server does it once however often it arrives."""
    return replace(request, headers={**request.headers, KEY_HEADER: key or uuid4().hex})


def persist(request: Request, step: type[Send] | type[Open], retries: int) -> Flow[Answer | Opened]:
    """Send a request until it is answered with a success (or 304), up to so many times again.

    Raises `ServerError`, `ConnectionFailed`, `AnswerNotValid`.
    """
    attempt = 0
    while True:
        try:
            answer: Answer | Opened = yield step(request)
        except ConnectionFailed as error:
            failure: JobyardError = error
        else:
            if _is_good(answer) or (attempt > 0 and _is_gone(request, answer)):
                return answer
            failure = error_of(answer)
        if attempt >= retries or not _may_repeat(request, failure):
            raise failure
        yield from rest(failure, attempt)
        attempt += 1


def rest(failure: JobyardError, attempt: int) -> Flow[None]:
    """Pause after a failure, after so many before; raises it when the server asks for more than is waited."""
    if (failure.retry_after or 0.0) > LONGEST_RETRY_AFTER_SECONDS:
        raise failure
    yield from sleep(pause(attempt, failure.retry_after))


def pause(attempt: int, retry_after: float | None = None) -> float:
    """Give how long to wait after so many failures before: with full jitter, and not less than the server asked for."""
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(attempt, 16))
    return (retry_after or 0.0) + random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read in how many seconds the server wants to be asked again."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())


def error_of(answer: Answer | Opened) -> JobyardError:
    """Make the error of an answer that is none of success."""
    if not isinstance(answer, Answer) or HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        target = answer.headers.get("Location", "elsewhere")
        return AnswerNotValid(f"The server answered {answer.status} and points to {target}; give that address.")
    said = _problem(answer.content)
    phrase = _phrase(answer.status)
    return class_of(answer.status)(
        str(said.get("detail") or phrase),
        status=answer.status,
        code=str(said.get("code") or "http_error"),
        title=str(said.get("title") or phrase),
        errors=_wrong(said.get("errors")),
        request_id=answer.headers.get("X-Request-ID"),
        retry_after=retry_after(answer.headers),
    )


def _is_good(answer: Answer | Opened) -> bool:
    return answer.status < HTTPStatus.MULTIPLE_CHOICES or answer.status == HTTPStatus.NOT_MODIFIED


def _is_gone(request: Request, answer: Answer | Opened) -> bool:
    # The answer to an earlier sending was lost; it had deleted.
    return request.method == "DELETE" and answer.status == HTTPStatus.NOT_FOUND


def _may_repeat(request: Request, failure: JobyardError) -> bool:
    again = request.repeatable and not (isinstance(request.body, Body) and not request.body.repeatable)
    if isinstance(failure, ConnectionFailed):
        return again or not failure.sent
    if isinstance(failure, ServerError) and failure.code in _BUSY_CODES:
        return again
    return failure.status in (_REPEATED if again else _REFUSED_UNDONE) and _can_rewind(request)


def _can_rewind(request: Request) -> bool:
    return not isinstance(request.body, Body) or request.body.repeatable


def _problem(content: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(content)
    except ValueError:
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _wrong(errors: object) -> tuple[InputProblem, ...]:
    if not isinstance(errors, list):
        return ()
    found = [cast("dict[str, Any]", each) for each in cast("list[object]", errors) if isinstance(each, dict)]
    return tuple(InputProblem(*(str(each.get(name, "")) for name in ("pointer", "code", "detail"))) for each in found)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Failed"
