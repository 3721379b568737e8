"""`/v1/ws`: what changes, over a WebSocket. `api.web_socket_messages` says what is sent there."""

from fastapi import APIRouter, WebSocket

from api.resources import Resources
from api.web_socket import serve_web_socket

router = APIRouter(prefix="/v1", tags=["streams"])


@router.websocket("/ws")
async def open_web_socket(socket: WebSocket) -> None:
    """Serve a connection for as long as it lasts."""
    resources: Resources = socket.app.state.resources
    await serve_web_socket(socket, resources)
