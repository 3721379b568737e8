"""Ports on the loopback interface."""

import fcntl
import os
import secrets
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200
_CONNECT_SECONDS = 0.2

_claims: dict[int, int] = {}


class NoFreePort(RuntimeError):
    """No free port was found."""


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port and it can be bound now."""
    with socket.socket() as client:
        client.settimeout(_CONNECT_SECONDS)
        # On macOS a bind succeeds beside a listener on all interfaces; a connection finds that one.
        if client.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Find a free port at random, so that two who search at the same time hardly ever meet.

    Raises NoFreePort.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if is_free(port):
            return port
    raise NoFreePort(f"no free port found between {_FIRST} and {_LAST}")


def choose_port(preferred: int) -> int:
    """Return the preferred port when it is free, else a free one.

    The preferred one is then ours until this process ends: another Jobyard of the same user that starts while nobody
    listens yet takes a different one.
    """
    return preferred if _claim(preferred) and is_free(preferred) else free_port()


def _claim(port: int) -> bool:
    """Lock a port for this process; without a place for locks every claim is granted."""
    if port in _claims:
        return True
    with suppress(OSError):
        directory = Path(tempfile.gettempdir()) / f"jobyard-ports-{os.geteuid()}"
        directory.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        # The kernel gives it back when this process ends, however it ends.
        _claims[port] = descriptor
    return True
