"""The API as a process of its own, for what only a real server shows."""

import os
import runpy
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

import httpx2
import psutil
import pytest

from shared.settings import Settings
from tests.forks import fork

API = "api"
CAP = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Server:
    """Is a running API."""

    host: str
    port: int
    memory: psutil.Process
    process: ForkServerProcess

    def client(self) -> httpx2.Client:
        """Open a client."""
        return httpx2.Client(base_url=f"http://{self.host}:{self.port}", timeout=60)

    def connect(self) -> socket.socket:
        """Open a connection, for requests that no client library would make."""
        return socket.create_connection((self.host, self.port), timeout=60)

    def wait_exit(self) -> int:
        """Wait for the end; gives the exit code."""
        self.process.join(60)
        assert self.process.exitcode is not None, "it goes on"
        return self.process.exitcode


@contextmanager
def running_server(settings: Settings, shell_prefix: str = "", program: str = API, cap: int = CAP) -> Generator[Server]:
    """Run the module `api`, or a file that serves it, as a program; after a line of shell if one is given."""
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
    process = fork(environment, _serve, shell_prefix, program)
    assert process.pid is not None
    try:
        _wait_until_it_listens(process, host, port)
        yield Server(host, port, psutil.Process(process.pid), process)
    finally:
        process.terminate()
        process.join(20)
        late = process.exitcode is None
        process.kill()
        process.join()
        assert not late, "it did not stop within 20 s"


def _serve(shell_prefix: str, program: str) -> None:
    if shell_prefix:
        os.execv("/bin/sh", ["/bin/sh", "-c", f'{shell_prefix} exec "$0" -m api', sys.executable])  # noqa: S606 - its own
    elif program == API:
        runpy.run_module(API, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")


def _wait_until_it_listens(process: ForkServerProcess, host: str, port: int) -> None:
    while True:
        try:
            socket.create_connection((host, port)).close()
        except ConnectionRefusedError:
            process.join(0.05)
            if process.exitcode is not None:
                pytest.fail(f"the API ended with {process.exitcode}")
        else:
            return
