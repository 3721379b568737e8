"""Many e-mails in one request: what is wrong with one is said of that one, and the others go."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from api.email_bodies import EmailBody
from api.email_drafts import make_drafts, write_emails
from api.idempotency import once
from api.idempotency_key import RequestKey
from api.json_bodies import require_few_values
from api.problems import InputError, Problem, errors_of, input_errors, problem
from api.resources import Resources
from api.transactions import session_connection
from shared.email_shapes import EMAIL_EXAMPLE, Email, shape_email
from shared.errors import JobyardError
from shared.mail_models import Email as EmailRow

MOST_BATCH_EMAILS = 1000
_AT_ONCE = 20
_MOST_ERRORS = 50
_JSON = "application/json"

_items: TypeAdapter[list[Any]] = TypeAdapter(
    Annotated[list[Any], Field(min_length=1, max_length=MOST_BATCH_EMAILS, strict=True)]
)
_bodies = TypeAdapter(EmailBody)

_REFUSED: dict[str, JsonValue] = {
    "type": "about:blank",
    "title": "Invalid input",
    "status": 422,
    "code": "invalid_input",
    "detail": "The input is malformed; see errors.",
    "errors": [{"pointer": "/1/to/0", "code": "value_error", "detail": "Value error, It must have an @."}],
}


class EmailBatchItem(BaseModel):
    """Is what became of one e-mail of a batch: an e-mail or an error."""

    index: int = Field(description="Its place in the request, from 0.")
    email: Email | None
    error: Problem | None


class EmailBatch(BaseModel):
    """Tells what became of each e-mail of a batch, in the order of the request."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "items": [
                    {"index": 0, "email": EMAIL_EXAMPLE, "error": None},
                    {"index": 1, "email": None, "error": _REFUSED},
                ],
                "failed": 1,
            }
        }
    )

    items: list[EmailBatchItem]
    failed: int = Field(description="How many were refused.")


class EmailNotValid(JobyardError):
    """Is raised for an e-mail of a batch that is malformed; `errors` says where."""

    status = 422
    code = "invalid_input"
    title = "Invalid input"

    def __init__(self, errors: list[InputError]) -> None:
        super().__init__("The input is malformed; see errors.")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Order:
    """Is one e-mail that a request asks for, or why it cannot be; `place` points to it in the request's body."""

    index: int
    place: str
    body: EmailBody | JobyardError


async def create_batch(
    resources: Resources, owner_id: UUID, content: bytes, key: RequestKey | None, base_url: str
) -> Response:
    """Write down the e-mails of a JSON array, each for itself; raises `RequestValidationError` when it is none."""
    orders: list[Order] = []
    for index, item in enumerate(_read_array(content)):
        await _let_others(index)
        orders.append(Order(index, f"/{index}", _check(item, f"/{index}")))
    return await accept_orders(resources, owner_id, orders, key, base_url)


async def accept_orders(
    resources: Resources, owner_id: UUID, orders: Sequence[Order], key: RequestKey | None, base_url: str
) -> Response:
    """Write down what is asked for in one transaction, once per key; answer 202, or 422 when nothing could be."""
    good = [order.body for order in orders if isinstance(order.body, EmailBody)]
    made = iter(await make_drafts(resources, owner_id, good, base_url))
    drafts = [next(made) if isinstance(order.body, EmailBody) else order.body for order in orders]
    async with resources.sessions.begin() as session:
        connection = await session_connection(session)

        async def write() -> Response:
            written = await write_emails(resources, connection, owner_id, drafts)
            return await _answer(orders, written)

        response = await once(connection, key, session.begin_nested, write)
    resources.note_enqueued(owner_id)
    return response


async def _let_others(index: int) -> None:
    """Let other requests be served now and then."""
    if index % _AT_ONCE == 0:
        await asyncio.sleep(0)


def _read_array(content: bytes) -> list[Any]:
    require_few_values(content)
    try:
        return _items.validate_python(json.loads(content))
    except ValidationError as error:
        found = [item | {"loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(found) from error
    except (ValueError, RecursionError) as error:
        wrong = {"loc": ("body",), "type": "json_invalid", "msg": "JSON decode error"}
        raise RequestValidationError([wrong]) from error


def _check(item: Any, place: str) -> EmailBody | EmailNotValid:
    try:
        return _bodies.validate_python(item)
    except ValidationError as error:
        return EmailNotValid(input_errors(error, place))


async def _answer(orders: Sequence[Order], written: Sequence[EmailRow | JobyardError]) -> Response:
    items: list[EmailBatchItem] = []
    for order, outcome in zip(orders, written, strict=True):
        await _let_others(len(items))
        items.append(_item(order, outcome))
    failed = sum(item.error is not None for item in items)
    if failed < len(items):
        return Response(EmailBatch(items=items, failed=failed).model_dump_json(by_alias=True), 202, None, _JSON)
    errors = [
        found
        for order, item in zip(orders, items, strict=True)
        if item.error is not None
        for found in item.error.errors
        or [InputError(pointer=order.place, code=item.error.code, detail=item.error.detail)]
    ]
    return problem(
        422,
        "nothing_accepted",
        "No e-mail was accepted",
        "No e-mail of the request could be accepted; see errors.",
        errors=[error.model_dump() for error in errors[:_MOST_ERRORS]],
    )


def _item(order: Order, outcome: EmailRow | JobyardError) -> EmailBatchItem:
    if isinstance(outcome, JobyardError):
        return EmailBatchItem(index=order.index, email=None, error=_problem(order, outcome))
    return EmailBatchItem(index=order.index, email=shape_email(outcome), error=None)


def _problem(order: Order, error: JobyardError) -> Problem:
    errors = error.errors if isinstance(error, EmailNotValid) else errors_of(error, order.place)
    return Problem(
        type="about:blank", title=error.title, status=error.status, code=error.code, detail=error.detail, errors=errors
    )
