"""The few HTTP requests with which ops looks at the API it has started."""

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

_SECONDS = 10.0


def get_status(url: str) -> int | None:
    """Return the status of a GET; None while nobody answers."""
    return _request("GET", url, None)


def post_json(url: str, body: Mapping[str, str]) -> int | None:
    """Return the status of a POST; None while nobody answers."""
    return _request("POST", url, json.dumps(body))


def _request(method: str, url: str, body: str | None) -> int | None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
    try:
        connection.request(method, address.path, body, {"Content-Type": "application/json"} if body else {})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
