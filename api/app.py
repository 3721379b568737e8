"""The application: `create_app()` puts the parts together and reads no settings before it is called."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api import openapi
from api.idempotency_key import REPLAYED
from api.limits import RequestLimits
from api.problems import install_problem_handlers
from api.resources import make_resources, open_resources
from api.routes import (
    admin,
    auth,
    docs,
    email_templates,
    emails,
    events,
    file_content,
    files,
    health,
    hot_pair,
    image_presets,
    images,
    jobs,
    limits,
    mailings,
    notifications,
    stream_tickets,
    suppressions,
    unsubscribe,
    uploads,
    users,
    web_socket,
    webhooks,
)
from api.tus_headers import EXPOSED_HEADERS as TUS_HEADERS
from api.tus_protocol import TusProtocol
from shared.job_kind import JobKind
from shared.logs import configure_logging
from shared.settings import Settings, get_settings

VERSION = "0.1.0"


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application."""
    settings = settings or get_settings()
    configure_logging(settings)
    resources = make_resources(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_resources(app.state.resources):
            yield

    app = FastAPI(title="Jobyard", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.resources = resources
    install_problem_handlers(app)
    bodies = hot_pair.add_hot_pair(app, resources.kinds)
    _add_routes(app, resources.kinds)
    docs.mount_docs(app)
    app.add_middleware(TusProtocol)
    app.add_middleware(RequestLimits)
    _allow_origins(app, settings)
    app.openapi = lambda: openapi.describe(app, bodies)
    return app


def _add_routes(app: FastAPI, kinds: dict[str, JobKind]) -> None:
    app.include_router(health.router)
    app.include_router(auth.router)
    app.include_router(users.router)
    app.include_router(emails.router)
    app.include_router(notifications.router)
    app.include_router(mailings.router)
    app.include_router(email_templates.router)
    app.include_router(suppressions.router)
    app.include_router(unsubscribe.router)
    app.include_router(jobs.router)
    app.include_router(events.router)
    app.include_router(stream_tickets.router)
    app.include_router(web_socket.router)
    app.include_router(files.router)
    app.include_router(file_content.router)
    app.include_router(uploads.router)
    app.include_router(images.make_router(kinds))
    app.include_router(image_presets.router)
    app.include_router(webhooks.router)
    app.include_router(limits.router)
    app.include_router(admin.router)


def _allow_origins(app: FastAPI, settings: Settings) -> None:
    if not settings.cors_origins:
        return
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_credentials=False,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=[
            "Location",
            "ETag",
            "Retry-After",
            "Preference-Applied",
            "Jobyard-Existing",
            REPLAYED,
            "X-Request-ID",
            *TUS_HEADERS,
            "Accept-Ranges",
            "Content-Disposition",
            "Content-Range",
        ],
    )
