"""The pages that somebody sees who follows an unsubscribe link: without scripts, and with nothing from elsewhere."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from http import HTTPStatus

from fastapi.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif }
body { margin: 0; padding: 1.5rem; display: grid; min-height: 100vh; box-sizing: border-box; place-items: center }
main { max-width: 34rem; overflow-wrap: anywhere }
h1 { font-size: 1.5rem; line-height: 1.25 }
button { font: inherit; font-weight: 600; padding: .75rem 1.5rem; border: 2px solid; border-radius: .5rem;
    color: #fff; background: #1d4ed8; border-color: #1d4ed8; cursor: pointer }
button:focus-visible { outline: 3px solid CanvasText; outline-offset: 3px }
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
# To the page's own address, whatever stands before it: without an action.
_FORM = """<form method="post">
<input type="hidden" name="List-Unsubscribe" value="One-Click">
<button>Unsubscribe</button>
</form>"""


def asking_page(address: str) -> HTMLResponse:
    """Make the page with the button, which changes nothing by itself."""
    text = f"<p>Press the button, and {_shown(address)} gets no more e-mails from this sender.</p>"
    return _page("Unsubscribe?", f"{text}\n{_FORM}")


def done_page(address: str) -> HTMLResponse:
    """Make the page that says that it is done."""
    text = f"<p>{_shown(address)} gets no more e-mails from this sender. You can close this page.</p>"
    return _page("You are unsubscribed", text)


def broken_page() -> HTMLResponse:
    """Make the page for a link that is none."""
    text = (
        "<p>This link is not complete, or its sender is no longer here. Nothing was changed.</p>\n"
        "<p>Open it once more from the e-mail itself.</p>"
    )
    return _page("This link does not work", text, HTTPStatus.NOT_FOUND)


def _shown(address: str) -> str:
    # Not the whole of it: links are passed on with the mail that they stand in.
    local_part, _, domain = address.rpartition("@")
    return f"<strong><bdi>{escape(local_part[:1])}…@{escape(domain)}</bdi></strong>"


def _page(title: str, content: str, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    text = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
    return HTMLResponse(text, status, _HEADERS)
