"""What is said of events: the `webhooks` of OpenAPI and the page at `/docs/events`, both made from the registry."""

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from typing import Any

from fastapi.responses import HTMLResponse
from pydantic.json_schema import models_json_schema

from shared.events import EVENT_TYPES, EventType, known_filters

_REF = "#/components/schemas/{model}"
_EVENT_ID = "0198f2a5-8c9d-7a10-8e0d-1c2d3e4f5061"
_TIMESTAMP = "2026-11-24T12:00:02Z"
_HEADERS = {
    "webhook-id": ("The delivery's id: the same in every attempt.", "0198f2a5-8c9d-7e01-9f2b-3d4e5f607182"),
    "webhook-timestamp": ("When this attempt was made, in seconds since 1970.", "1795867202"),
    "webhook-signature": ("`v1,` and a signature for each secret; two, with a space between, in a rotation.", "v1,…"),
}
_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; overflow-wrap: anywhere }
h2 { margin: 2.5rem 0 .25rem; padding-top: 1rem; border-top: 1px solid #8888; font-size: 1.25rem }
code, pre { font: .875rem/1.45 ui-monospace, monospace }
pre { padding: 1rem; border: 1px solid #8888; border-radius: .5rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .75rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8884 }
nav ul { columns: 16rem; padding-left: 1.25rem }
summary { cursor: pointer; padding: .5rem 0 }
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_PAGE_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}


def event_schemas() -> dict[str, Any]:
    """Give the schemas of what events carry, for OpenAPI's components."""
    models = {event.model for event in EVENT_TYPES.values()}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "serialization") for model in ordered], ref_template=_REF)
    return schemas["$defs"]


def webhooks() -> dict[str, Any]:
    """Describe every event as a webhook of OpenAPI 3.1."""
    return {event.name: {"post": _operation(event)} for event in EVENT_TYPES.values()}


def envelope_of(event: EventType) -> dict[str, Any]:
    """Give the example of an event as it is sent."""
    return {"id": _EVENT_ID, "type": event.name, "timestamp": _TIMESTAMP, "data": event.example}


def _operation(event: EventType) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["id", "type", "timestamp", "data"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "The same wherever this event is told."},
            "type": {"const": event.name},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {"$ref": _REF.format(model=event.model.__name__)},
        },
    }
    parameters = [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"},
         "example": example}
        for name, (text, example) in _HEADERS.items()
    ]  # fmt: skip
    return {
        "operationId": event.name,
        "summary": event.summary,
        "tags": ["events"],
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": envelope_of(event)}},
        },
        "responses": {"2XX": {"description": "Taken. Anything else, a redirect too, is tried again."}},
    }


@cache
def events_page() -> HTMLResponse:
    """Make the page that tells of every event: when it is told, what it carries, how it looks."""
    names = "".join(f'<li><a href="#{name}"><code>{name}</code></a></li>' for name in EVENT_TYPES)
    filters = ", ".join(f"<code>{escape(text)}</code>" for text in known_filters() if text.endswith("*"))
    sections = "".join(map(_section, EVENT_TYPES.values()))
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Jobyard: events</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Events</h1>
<p>Webhooks and listeners are told of these, as <code>{{id, type, timestamp, data}}</code>. A filter names one of them,
or a family: {filters}.</p>
<nav><ul>{names}</ul></nav>
{sections}
</body>
</html>
""",
        headers=_PAGE_HEADERS,
    )


def _section(event: EventType) -> str:
    schema = event.model.model_json_schema(mode="serialization")
    rows = "".join(
        f"<tr><td><code>{name}</code></td><td>{escape(_kind_of(field))}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema["properties"].items()
    )
    example = escape(json.dumps(envelope_of(event), indent=2, ensure_ascii=False))
    return f"""<section>
<h2 id="{event.name}"><code>{event.name}</code></h2>
<p>{escape(event.summary)} Its <code>data</code> is {_article(event.model.__name__)}.</p>
<details><summary>What <code>data</code> holds</summary>
<table><thead><tr><th>Name</th><th>Value</th><th></th></tr></thead><tbody>{rows}</tbody></table></details>
<details><summary>Example</summary><pre>{example}</pre></details>
</section>
"""


def _article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} <code>{name}</code>"


def _kind_of(field: dict[str, Any]) -> str:
    """Say in words what a property of a schema may be."""
    if "anyOf" in field:
        return " or ".join(_kind_of(each) for each in field["anyOf"])
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if field.get("type") == "array":
        return f"list of {_kind_of(field.get('items', {}))}"
    return field.get("format") or field.get("type") or "any"
