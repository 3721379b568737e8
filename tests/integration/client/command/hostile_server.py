"""A server that means ill: it answers as Jobyard does, with words that should do something to a terminal or a disk."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CONTENT = b"content"
ESCAPES = "\x1b[2J\x1b]0;mine\x07\x9b31m[red]bold[/red]\u202egpj\r\n"
UNKNOWN = "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"


class HostileServer:
    """Answers every request for files and jobs; `name` is what it calls its files."""

    def __init__(self) -> None:
        self.name = ESCAPES
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("/content"):
                    self._answer("application/octet-stream", CONTENT)
                else:
                    self._answer("application/json", json.dumps(hostile.told(self.path)).encode())

            def do_POST(self) -> None:
                problem = {"title": ESCAPES, "detail": ESCAPES, "code": ESCAPES, "status": 409}
                self._answer("application/problem+json", json.dumps(problem).encode(), 409)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
                """Keep quiet."""

            def _answer(self, media_type: str, body: bytes, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def told(self, path: str) -> dict[str, Any]:
        """Give what it says of a path."""
        item = self._file() if path.startswith("/v1/files") else self._job()
        is_list = path.partition("?")[0] in {"/v1/files", "/v1/jobs"}
        return {"items": [item], "next_cursor": None} if is_list else item

    def _file(self) -> dict[str, Any]:
        return {
            "id": UNKNOWN,
            "name": self.name,
            "media_type": ESCAPES,
            "size": len(CONTENT),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "description": ESCAPES,
        }

    def _job(self) -> dict[str, Any]:
        return {
            "id": UNKNOWN,
            "kind": ESCAPES,
            "state": "failed",
            "done": True,
            "version": 1,
            "input": {"word": ESCAPES},
            "result": None,
            "error": {"code": ESCAPES, "detail": ESCAPES},
            "progress": {"message": ESCAPES},
            "tags": [ESCAPES],
        }
