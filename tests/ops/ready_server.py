"""Stands where the API would: answers everything with 200 on JOBYARD_PORT, after a look at its environment."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

NEEDED = ("DATABASE_URL", "REDIS_URL", "SMTP_URL", "JOBYARD_SECRET_KEY", "JOBYARD_STORAGE_DIR")


class Answer(BaseHTTPRequestHandler):
    """Answers 200."""

    def do_GET(self) -> None:
        self.send_response(200 if all(os.environ.get(name) for name in NEEDED) else 503)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer((os.environ["JOBYARD_HOST"], int(os.environ["JOBYARD_PORT"])), Answer).serve_forever()
