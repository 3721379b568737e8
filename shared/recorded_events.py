"""Rows of `events` as code sees them, and the envelopes that are made of them.

The triggers of migrations 0005 and 0006 write the rows: what changed, as it then was. Here it becomes the shape that
GET gives.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, LiteralString, cast
from uuid import UUID

import orjson
from pydantic import BaseModel, TypeAdapter

from shared import mail_models, models
from shared.account_shapes import Account
from shared.email_shapes import shape_recipient, summarise_email
from shared.event_shapes import RecipientOfEmail
from shared.events import Event
from shared.file_shapes import file_of
from shared.ids import id_for
from shared.job_events import JSON_OPTIONS
from shared.job_row import JobRow, job_frame

_JOB_ROW = TypeAdapter(JobRow)
"""Reads a row back from JSON; columns that make no part of a frame are passed over."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """Holds the columns of `events`."""

    sequence: int
    name: str
    owner_id: UUID
    subject_id: UUID
    version: int
    webhook_url: str | None
    body: dict[str, Any]
    created_at: datetime


EVENT_COLUMNS = cast("LiteralString", ", ".join(column.name for column in fields(RecordedEvent)))


def event_of(row: RecordedEvent, job_retention: timedelta) -> Event:
    """Make the envelope of a row, always the same of the same; its `data` is JSON.

    Raises `KeyError` for a name of no known family.
    """
    stem, _, _ = row.name.rpartition(".")
    return Event(
        id=id_for(row.created_at, f"event:{row.sequence}"),
        type=row.name,
        timestamp=row.created_at,
        data=_job(row.body, job_retention) if stem == "job" else _plain(_SHAPES[stem](row.body)),
    )


def _job(body: dict[str, Any], retention: timedelta) -> dict[str, Any]:
    frame = job_frame(_JOB_ROW.validate_python(body), retention)
    return orjson.loads(orjson.dumps(frame, option=JSON_OPTIONS))


def _plain(shaped: BaseModel) -> dict[str, Any]:
    return shaped.model_dump(mode="json", by_alias=True)


def _email(body: dict[str, Any]) -> BaseModel:
    row = {name: value for name, value in body.items() if name != "counts"}
    return summarise_email(mail_models.Email(**row), body["counts"])


def _recipient(body: dict[str, Any]) -> BaseModel:
    recipient = shape_recipient(mail_models.Recipient(**body["recipient"]), body["message_id"])
    same = {name: body[name] for name in ("email_id", "mailing_id", "tags")}
    return RecipientOfEmail(**same, recipient=recipient)


_SHAPES: dict[str, Callable[[dict[str, Any]], BaseModel]] = {
    "file": lambda body: file_of(models.File(**body)),
    "email": _email,
    "email.recipient": _recipient,
    "user": Account.model_validate,
}
"""What makes the shape of a body, by all of the event's name but its last word."""
