"""A real HTTP endpoint that speaks S3, for tests; it keeps everything in memory."""

import urllib.request
from contextlib import closing
from xml.etree import ElementTree as ET

from moto.server import ThreadedMotoServer

from shared.ids import new_id
from shared.settings import Settings


class S3Server:
    """Serves S3 on a free port of this machine."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)

    def start(self) -> None:
        """Serve, from a thread of its own."""
        self._server.start()

    def stop(self) -> None:
        """Stop."""
        self._server.stop()

    @property
    def endpoint(self) -> str:
        """The URL of the service."""
        host, port = self._server.get_host_and_port()
        return f"http://{host}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point a client here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
        }

    def settings(self, url: str) -> Settings:
        """Give settings that use a bucket of this server."""
        return Settings.model_validate({"STORAGE_URL": url, **self.environment})

    def make_bucket(self) -> str:
        """Make an empty bucket; gives a storage URL with a prefix in it."""
        name = f"jobyard-{new_id()}"
        with self._ask("PUT", name):
            return f"s3://{name}/pre/fix"

    def count_unfinished(self, url: str) -> int:
        """Count the multipart uploads that were neither completed nor aborted."""
        with self._ask("GET", f"{url.split('/')[2]}?uploads") as answer:
            return sum(element.tag.endswith("Upload") for element in ET.fromstring(answer.read()).iter())  # noqa: S314 - our own server's

    def _ask(self, method: str, path: str):  # noqa: ANN202 - a context of urllib's response
        return closing(urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/{path}", method=method)))  # noqa: S310 - ours
