"""Rendering one message from a template, by itself: `python -m tests.bench.templating`.

Ours by turns with Jinja alone, bare and in its own sandbox; CPU µs, the median of the rounds.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import Environment
from jinja2.sandbox import ImmutableSandboxedEnvironment

from shared.mail_pages import inline_css, text_of
from shared.mail_templates import TemplateSource, render
from tests.bench.rounds import measure_rounds

_CALLS = 100
_STYLE = (
    "<style>"
    + "".join(f".c{number} {{ color: #123; padding: {number}px }}\n" for number in range(100))
    + "@media (max-width: 600px) { .c1 { width: 100% !important } }</style>"
)
_BODY = (
    "<h1 class=c1>Hello {{ name|default('you') }}</h1><p class=c2>Thanks for {{ order.number }}.</p><table>"
    "{% for item in order.items %}<tr class='c{{ loop.index }}'><td class=c9>{{ item.title }}</td>"
    "<td>{{ '%.2f'|format(item.price) }}</td></tr>{% endfor %}</table>"
    "<p class=c3>See <a href='https://example.org/{{ order.number }}'>your order</a>.</p>"
)
_TEXT = "Hello {{ name|default('you') }},\n\nthanks for {{ order.number }}.\n"
_VARIABLES: dict[str, Any] = {
    "name": "Ann",
    "order": {"number": 7, "items": [{"title": "A lamp & a cord", "price": 12.5}] * 10},
}


def _contenders() -> dict[str, Callable[[], object]]:
    text = TemplateSource("Order {{ order.number }}", _TEXT, None)
    page = TemplateSource("Order {{ order.number }}", None, f"<html><head>{_STYLE}</head><body>{_BODY}</body></html>")
    html = render(page, _VARIABLES, finished=False).html or ""
    inlined = inline_css(html)
    # Jinja takes `order.items` for the method.
    alone = (page.html or "").replace("order.items", "order['items']")
    bare = Environment(autoescape=True).from_string(alone)
    boxed = ImmutableSandboxedEnvironment(autoescape=True).from_string(alone)
    return {
        "a text": lambda: render(text, _VARIABLES),
        "a page, not finished": lambda: render(page, _VARIABLES, finished=False),
        "the same, Jinja's sandbox": lambda: boxed.render(_VARIABLES),
        "the same, Jinja bare": lambda: bare.render(_VARIABLES),
        "inlining its CSS": lambda: inline_css(html),
        "deriving its text": lambda: text_of(inlined),
        "a page, finished": lambda: render(page, _VARIABLES),
    }


def main() -> None:
    """Measure and print."""
    measure_rounds(_contenders(), _CALLS)


if __name__ == "__main__":
    main()
