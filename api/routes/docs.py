"""`/docs`, `/redoc`, `/docs/events`: Swagger UI, ReDoc, the page of events; no other host is asked for their files."""

import asyncio
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from api.event_page import events_page

router = APIRouter(include_in_schema=False)

_ASSETS = "/docs/assets"
_FOREIGN_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"


@router.get("/docs")
async def swagger_ui() -> HTMLResponse:
    """Show Swagger UI."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Jobyard",
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
        # The validator badge would send the document to another host.
        swagger_ui_parameters={"validatorUrl": None},
    )


@router.get("/docs/events")
async def events() -> HTMLResponse:
    """Show every event: when it is told, what it carries, how it looks."""
    return events_page()


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    """Show ReDoc."""
    return get_redoc_html(
        openapi_url="/openapi.json",
        title="Jobyard",
        redoc_js_url=f"{_ASSETS}/redoc.standalone.js",
        redoc_favicon_url=f"{_ASSETS}/favicon.png",
        with_google_fonts=False,
    )


@router.get(f"{_ASSETS}/redoc.standalone.js")
async def redoc_script() -> Response:
    """Give ReDoc's script, which would load its maker's logo from elsewhere, with a file of ours in that place."""
    script = await asyncio.to_thread((_directory() / "redoc.standalone.js").read_bytes)
    return Response(script.replace(_FOREIGN_LOGO, f"{_ASSETS}/favicon.png".encode()), media_type="text/javascript")


def _directory() -> Path:
    # Found, not imported: the package's own application class is not needed.
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("fastapi-offline is not installed: pip install --require-hashes -r requirements.txt")
    return Path(spec.origin).parent / "static"


def mount_docs(app: FastAPI) -> None:
    """Add the pages and the files that they load."""
    app.include_router(router)
    app.mount(_ASSETS, StaticFiles(directory=_directory()), name="docs-assets")
