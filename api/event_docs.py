"""What OpenAPI says of events: each as one of its `webhooks`, made from the registry."""

from typing import Any

from pydantic.json_schema import models_json_schema

from api.webhook_shapes import Webhook
from shared.event_examples import example_of
from shared.events import EVENT_TYPES, EventType
from shared.webhook_queue import TEST_EVENT

_TEST = EventType(TEST_EVENT, "You asked for it; no filter keeps it back.", Webhook, example_of(Webhook))
SENT_EVENTS = EVENT_TYPES | {TEST_EVENT: _TEST}
"""Every event that webhooks are sent, by name: those of the registry, and the test, which no filter means."""

_REF = "#/components/schemas/{model}"
_EVENT_ID = "0198f2a5-8c9d-7a10-8e0d-1c2d3e4f5061"
_TIMESTAMP = "2026-11-24T12:00:02Z"
_HEADERS = {
    "webhook-id": ("The delivery's id: the same in every attempt.", "0198f2a5-8c9d-7e01-9f2b-3d4e5f607182"),
    "webhook-timestamp": ("When this attempt was made, in seconds since 1970.", "1795867202"),
    "webhook-signature": (
        "`v1,` and the HMAC-SHA256 of id, timestamp and body in base64; two, with a space between, in a rotation.",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
}
_OMITTED = {
    "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
    "description": "Names the members that are null here, whatever they are, so that the body stays below 20 kB.",
}


def event_schemas() -> dict[str, Any]:
    """Give the schemas of what events carry, for OpenAPI's components."""
    models = {event.model for event in SENT_EVENTS.values()}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REF)
    return schemas["$defs"]


def webhooks() -> dict[str, Any]:
    """Describe every event as a webhook of OpenAPI 3.1."""
    return {event.name: {"post": _operation(event)} for event in SENT_EVENTS.values()}


def envelope_of(event: EventType) -> dict[str, Any]:
    """Give the example of an event as listeners get it."""
    return {"id": _EVENT_ID, "type": event.name, "timestamp": _TIMESTAMP, "data": event.example}


def _operation(event: EventType) -> dict[str, Any]:
    envelope = envelope_of(event)
    content = {"schema": _schema(event), "example": envelope | {"data": event.example | {"omitted": None}}}
    return {
        "operationId": event.name,
        "summary": event.summary,
        "tags": ["events"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"},
             "example": example}
            for name, (text, example) in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {"2XX": {"description": "Taken. Anything else, a redirect too, is tried again."}},
    }  # fmt: skip


def _schema(event: EventType) -> dict[str, Any]:
    omitted = {"type": "object", "required": ["omitted"], "properties": {"omitted": _OMITTED}}
    return {
        "type": "object",
        "required": ["id", "type", "timestamp", "data"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "The same wherever this event is told."},
            "type": {"const": event.name},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {"allOf": [{"$ref": _REF.format(model=event.model.__name__)}, omitted]},
        },
    }
