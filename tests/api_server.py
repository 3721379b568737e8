"""The API as a process of its own, for what only a real server shows."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import psutil
import pytest

from shared.settings import Settings

CAP = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Server:
    """Is a running API."""

    host: str
    port: int
    memory: psutil.Process

    def client(self) -> httpx2.Client:
        """Open a client."""
        return httpx2.Client(base_url=f"http://{self.host}:{self.port}", timeout=60)

    def connect(self) -> socket.socket:
        """Open a connection, for requests that no client library would make."""
        return socket.create_connection((self.host, self.port), timeout=60)

    def wait_exit(self) -> int:
        """Wait for the end; gives the exit code."""
        return self.memory.wait(60)


@contextmanager
def running_server(
    settings: Settings, shell_prefix: str = "", program: str = "-m api", cap: int = CAP
) -> Generator[Server]:
    """Run `python -m api`, or another program that serves it, after a line of shell if one is given."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        host, port = free.getsockname()
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "JOBYARD_ENVIRONMENT": "test",
        "JOBYARD_SECRET_KEY": settings.secret_key.get_secret_value(),
        "JOBYARD_STORAGE_DIR": str(settings.storage_dir),
        "JOBYARD_MAX_UPLOAD_BYTES": str(cap),
        "JOBYARD_HOST": host,
        "JOBYARD_PORT": str(port),
    }
    command = ["/bin/sh", "-c", f'{shell_prefix} exec "$0" {program}', sys.executable]
    process = subprocess.Popen(command, env=environment)
    try:
        _wait_until_it_listens(process, host, port)
        yield Server(host, port, psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", host: str, port: int) -> None:
    while True:
        try:
            socket.create_connection((host, port)).close()
        except ConnectionRefusedError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the API ended with {process.wait(0.05)}")
        else:
            return
