"""Deliveries in the log as if they had been made."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from shared.ids import new_id

URL = "https://app.example.com/hooks"
BODY = '{"id":"1","type":"job.failed","timestamp":"2026-11-24T12:00:00Z","data":{"text":"\u00e9"}}'


def log_delivery(database: psycopg.Connection, endpoint_id: str, **columns: Any) -> UUID:
    """Write a delivery to an endpoint down; gives its id."""
    given: dict[str, Any] = {
        "id": new_id(), "endpoint_id": endpoint_id, "event_id": uuid4(), "event": "job.failed", "subject_id": uuid4(),
        "version": 3, "url": URL, "body": BODY,
    }  # fmt: skip
    values = given | columns
    database.execute(
        sql.SQL("INSERT INTO webhook_deliveries ({}) VALUES ({})").format(
            sql.SQL(", ").join(sql.Identifier(name) for name in values),
            sql.SQL(", ").join(sql.Placeholder() * len(values)),
        ),
        list(values.values()),
    )
    return values["id"]
