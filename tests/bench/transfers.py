"""Sends a large request, or receives large answers: `python -m tests.bench.transfers`, the order on standard input.

It is a process of its own, so that nothing of it counts as the server's; the kernel does most of its work.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ops.paths import ROOT
from ops.ports import LOOPBACK
from tests.bench.http_client import request_bytes
from tests.bench.programs import inherited_environment

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_BUFFER_BYTES = 1024 * 1024
_SHORT_BYTES = 64 * 1024
_MOST_SECONDS = 600.0


class TransferFailed(RuntimeError):
    """Says that a transfer did not go as it must, so that its figures mean nothing."""


@dataclass(frozen=True)
class Transfer:
    """Is what has to be sent: requests in turn on one connection; a file follows the first, between two texts."""

    port: int
    requests: list[str]
    path: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class Outcome:
    """Is how it went: the statuses that came, the bytes of all answers' bodies, the last one if it is short."""

    statuses: list[int]
    received: int
    seconds: float
    body: str

    def json(self) -> dict[str, Any]:
        """Read the last answer."""
        return json.loads(self.body)


def upload(port: int, path: str, headers: dict[str, str], file: Path, form: tuple[str, str] = ("", "")) -> Outcome:
    """POST a file, between the two ends of a form or as the body itself."""
    length = len(form[0]) + file.stat().st_size + len(form[1])
    lines = [f"POST {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {length}", "", ""])
    return _carry_out(Transfer(port, [head], str(file), *form), expected=[200, 201])


def download(port: int, path: str, headers: Sequence[dict[str, str]], expected: int) -> Outcome:
    """GET the same path with one set of headers after the other."""
    requests = [request_bytes("GET", path, each).decode() for each in headers]
    return _carry_out(Transfer(port, requests), expected=[expected])


def _carry_out(transfer: Transfer, expected: Sequence[int]) -> Outcome:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.transfers"],
        cwd=ROOT, env=inherited_environment(), input=json.dumps(asdict(transfer)), stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    outcome = Outcome(**json.loads(ended.stdout))
    if unexpected := set(outcome.statuses) - set(expected):
        raise TransferFailed(f"{transfer.requests[0].splitlines()[0]}: answered {unexpected}: {outcome.body}")
    return outcome


def _transfer(order: Transfer) -> Outcome:
    began = time.perf_counter()
    statuses: list[int] = []
    received, body = 0, b""
    with socket.create_connection((LOOPBACK, order.port), timeout=_MOST_SECONDS) as connection:
        for number, request in enumerate(order.requests):
            connection.sendall(request.encode())
            if order.path and number == 0:
                _send_file(connection, order)
            status, length, body = _receive(connection)
            statuses.append(status)
            received += length
    seconds = time.perf_counter() - began
    return Outcome(sorted(set(statuses)), received, seconds, body.decode(errors="replace"))


def _send_file(connection: socket.socket, order: Transfer) -> None:
    # A server that refuses the rest closes its end; its answer says why.
    with Path(order.path).open("rb") as file, suppress(ConnectionError):
        connection.sendall(order.before.encode())
        connection.sendfile(file)
        connection.sendall(order.after.encode())


def _receive(connection: socket.socket) -> tuple[int, int, bytes]:
    buffer = bytearray(_BUFFER_BYTES)
    head = b""
    while b"\r\n\r\n" not in head:
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionError("the server closed the connection")
        head += buffer[:count]
    head, _, body = head.partition(b"\r\n\r\n")
    match = _LENGTH.search(head)
    length = int(match[1]) if match else 0
    left = length - len(body)
    while left > 0:
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionError("the server closed the connection")
        left -= count
        if length <= _SHORT_BYTES:
            body += buffer[:count]
    return int(head[9:12]), length, body if length <= _SHORT_BYTES else b""


def main() -> None:
    """Carry out the order."""
    order: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps(asdict(_transfer(Transfer(**order)))))


if __name__ == "__main__":
    main()
