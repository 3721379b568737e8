"""Serving: the application under uvicorn, as the settings say."""

import uvicorn

from api.app import create_app
from api.resources import Resources
from api.server import Server
from shared.settings import get_settings

GRACE_SECONDS = 5
BACKLOG = 2048


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get 5 s to end, those that wait are answered at once."""
    settings = get_settings()
    app = create_app(settings)
    resources: Resources = app.state.resources
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    Server(config, resources.changes).run()
