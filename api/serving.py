"""Serving: the application under uvicorn, as the settings say."""

import uvicorn
from fastapi import FastAPI

from api import web_socket_protocol
from api.app import create_app
from api.http_protocol import HttpProtocol
from api.resources import Resources
from api.server import Server
from api.web_socket_protocol import LARGEST_MESSAGE_BYTES, WebSocketProtocol
from shared.settings import get_settings

GRACE_SECONDS = 5
BACKLOG = 2048


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get 5 s to end, those that wait are answered at once."""
    settings = get_settings()
    app = create_app(settings)
    resources: Resources = app.state.resources
    config = make_config(app, settings.host, settings.port)
    Server(config, resources.changes).run()


def make_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """Say how an application is served."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=LARGEST_MESSAGE_BYTES,
        ws_ping_interval=web_socket_protocol.PING_SECONDS,
        ws_ping_timeout=web_socket_protocol.PING_SECONDS,
        # A compressor costs some 100 kB a connection, and lets small messages grow large.
        ws_per_message_deflate=False,
    )
