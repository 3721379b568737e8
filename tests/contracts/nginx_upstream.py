"""A small real service to stand behind nginx, with events that tell a test how far a request has come."""

import hashlib
import socket
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

DEADLINE_SECONDS = 20
MEGABYTE = 1_000_000
CONTENT = b"0123456789" * (2 * MEGABYTE)


class Upstream:
    """The service's address and its signs of progress."""

    def __init__(self) -> None:
        self.port = 0
        self.first_chunk_arrived = threading.Event()
        self.all_sent = threading.Event()

    async def upload(self, request: Request) -> Response:
        digest, received = hashlib.sha256(), 0
        async for chunk in request.stream():
            digest.update(chunk)
            received += len(chunk)
            if received:
                self.first_chunk_arrived.set()
        return JSONResponse({"received": received, "sha256": digest.hexdigest()}, 201)

    async def refuse(self, _request: Request) -> Response:
        return JSONResponse({"code": "too_large"}, 413, media_type="application/problem+json")

    async def headers(self, request: Request) -> Response:
        return JSONResponse(list(request.headers.items()), headers={"Strict-Transport-Security": "max-age=1"})

    async def content(self, _request: Request) -> Response:
        async def blocks() -> AsyncIterator[bytes]:
            for start in range(0, len(CONTENT), MEGABYTE):
                yield CONTENT[start : start + MEGABYTE]
            self.all_sent.set()

        headers = {
            "Content-Length": str(len(CONTENT)), "Content-Type": "text/plain", "ETag": '"7"', "Accept-Ranges": "bytes",
        }  # fmt: skip
        return StreamingResponse(blocks(), 206, headers | {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/99999999"})

    async def long_json(self, _request: Request) -> Response:
        return JSONResponse({"words": ["ledger"] * 500}, headers={"ETag": '"7"'})

    def application(self) -> Starlette:
        get, post = ["GET"], ["POST"]
        return Starlette(
            routes=[
                Route("/v1/files", self.upload, methods=post),
                Route("/v1/images", self.refuse, methods=post),
                Route("/v1/users/me", self.headers, methods=get),
                Route("/v1/jobs", self.long_json, methods=get),
                Route("/v1/auth/token", self.long_json, methods=get),
                Route("/v1/files/{id}/content", self.content, methods=get),
            ]
        )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def running_upstream() -> Generator[Upstream]:
    """Serve on a free loopback port until the block ends."""
    upstream = Upstream()
    listener = socket.create_server(("127.0.0.1", 0))
    upstream.port = int(listener.getsockname()[1])
    server = _Server(uvicorn.Config(upstream.application(), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert server.ready.wait(DEADLINE_SECONDS)
        yield upstream
    finally:
        server.should_exit = True
        thread.join(DEADLINE_SECONDS)
        listener.close()
