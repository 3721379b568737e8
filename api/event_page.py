"""The page at `/docs/events`, made from the registry: without scripts, and with nothing from elsewhere."""

import json
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from itertools import groupby

from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from api.event_docs import SENT_EVENTS, envelope_of
from api.schema_fields import Field, fields_of
from shared.events import EventType, known_filters

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; overflow-wrap: anywhere }
h2 { margin: 3rem 0 1rem; padding-top: 1.5rem; border-top: 1px solid #8888 }
h3 { margin: 1.5rem 0 0 }
h3 code { font-size: 1.125rem }
p { margin: .25rem 0 .5rem }
code, pre { font: .875rem/1.45 ui-monospace, monospace }
h3 code { font-weight: 600 }
pre { margin: .25rem 0; padding: 1rem; border: 1px solid #8888; border-radius: .5rem; overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { padding: .3rem .75rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8884 }
nav ul { columns: 16rem; padding-left: 1.25rem }
summary { cursor: pointer; padding: .5rem 0 }
@media (max-width: 45rem) {
    thead { display: none }
    tr { display: block; padding: .4rem 0; border-bottom: 1px solid #8884 }
    td { display: block; padding: 0; border: 0 }
    td:nth-child(2) { font-style: italic }
}
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}


@cache
def events_page() -> HTMLResponse:
    """Make the page that tells of every event: when it is told, what it carries, how it looks."""
    names = "".join(f'<li><a href="#{name}"><code>{name}</code></a></li>' for name in SENT_EVENTS)
    filters = ", ".join(f"<code>{escape(text)}</code>" for text in known_filters() if text.endswith("*"))
    by_model = groupby(SENT_EVENTS.values(), key=lambda event: event.model)
    sections = "".join(_section(model, list(events)) for model, events in by_model)
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
<main>
<h1>Events</h1>
<p>What happens is told to webhooks and listeners as <code>{{"id", "type", "timestamp", "data"}}</code>. The
<code>id</code> is the same wherever an event is told, and <code>data</code> is what GET gives of the subject, as it was
when the event happened. A filter is an event's name or a family: {filters}.</p>
<p>A webhook's body stays below 20 kB: there <code>data</code> has one member more, <code>omitted</code>, which is null,
or names what was left out and is null instead. See also the <a href="/docs">interface</a>.</p>
<nav aria-label="Events"><ul>{names}</ul></nav>
{sections}
</main>
</body>
</html>
""",
        headers=_HEADERS,
    )


def _section(model: type[BaseModel], events: list[EventType]) -> str:
    rows = "".join(map(_row, fields_of(model)))
    return f"""<section>
<h2>{model.__name__}</h2>
<details><summary>What <code>data</code> holds</summary>
<table><thead><tr><th>Name</th><th>Value</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table></details>
{"".join(map(_article, events))}
</section>
"""


def _row(field: Field) -> str:
    description = escape(field.description)
    return f"<tr><td><code>{field.name}</code></td><td>{escape(field.value)}</td><td>{description}</td></tr>"


def _article(event: EventType) -> str:
    example = escape(json.dumps(envelope_of(event), indent=2, ensure_ascii=False))
    return f"""<article>
<h3 id="{event.name}"><code>{event.name}</code></h3>
<p>{escape(event.summary)}</p>
<details><summary>Example</summary><pre tabindex="0">{example}</pre></details>
</article>
"""
