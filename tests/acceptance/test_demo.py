"""`make demo` as a user runs it: real processes in a fresh directory, and nothing of them left at the end."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import pytest

from ops.endpoints import Endpoints, load_endpoints
from ops.paths import ROOT
from ops.ports import LOOPBACK, is_free
from ops.postgres import LocalPostgres
from tests.polling import has_ended

DEFAULT_PORTS = {8000, 5432, 6379, 5555, 1025}
PROGRAMS = (
    "-m api",
    "worker.dispatcher",
    "worker.main worker",
    "worker.main beat",
    "flower",
    "ops.mailbox",
    "postgres",
)
MARK = "JOBYARD_TEST_MARK"


@dataclass(frozen=True)
class Place:
    """Is a directory for everything that a demonstration keeps, and a mark that all its processes carry."""

    var: Path
    mark: str

    def start(self) -> subprocess.Popen[str]:
        given = {name: value for name, value in os.environ.items() if not _leads_elsewhere(name)}
        return subprocess.Popen(
            [sys.executable, "-m", "ops", "--var", str(self.var), "demo"],
            cwd=ROOT,
            env={**given, MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def left(self) -> list[str]:
        """Show every process that carries the mark."""
        return [shown for process in psutil.process_iter() if (shown := self._shown(process))]

    def endpoints(self) -> Endpoints:
        return load_endpoints(self.var / "endpoints.json")

    def _shown(self, process: psutil.Process) -> str:
        with suppress(psutil.Error):
            if process.environ().get(MARK) == self.mark:
                return _command(process)
        return ""


def _command(process: psutil.Process) -> str:
    """Give what a process runs; nothing of one that ends while it is asked, as some do at a start."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    var = tmp_path_factory.mktemp("a fresh place") / "var"
    yield Place(var, uuid4().hex)
    # Root's PostgreSQL keeps its files where an ordinary user may read them.
    LocalPostgres(var / "postgres").remove()


@pytest.fixture
def taken_ports() -> Iterator[set[int]]:
    with ExitStack() as listeners:
        yield {port for port in DEFAULT_PORTS if _take(port, listeners)}


def _take(port: int, listeners: ExitStack) -> bool:
    listener = listeners.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Where it fails somebody else has the port, and may give it back any time.
    with suppress(OSError):
        listener.bind((LOOPBACK, port))
        listener.listen()
        return True
    return False


def test_demo_is_right_beside_taken_default_ports_and_leaves_nothing_behind(
    place: Place, taken_ports: set[int]
) -> None:
    demo = place.start()

    lines = _lines_until(demo, "signed in as")
    running = psutil.Process(demo.pid).children(recursive=True)
    commands = [_command(process) for process in running]
    output, errors = demo.communicate()

    assert demo.returncode == 0, "\n".join([*lines, output, errors])
    assert errors == ""
    assert [program for program in PROGRAMS if not any(program in command for command in commands)] == []
    assert [process for process in running if not has_ended(process)] == []
    assert taken_ports
    assert set(_ports(place.endpoints())) & taken_ports == set()
    assert place.left() == []
    assert [port for port in _ports(place.endpoints()) if not is_free(port)] == []


def test_interrupted_demo_leaves_nothing_behind(place: Place) -> None:
    demo = place.start()

    _lines_until(demo, "signed in as")
    demo.send_signal(signal.SIGINT)
    output, errors = demo.communicate()

    assert demo.returncode == 130, output + errors
    assert place.left() == []
    assert [port for port in _ports(place.endpoints()) if not is_free(port)] == []


def _lines_until(demo: subprocess.Popen[str], words: str) -> list[str]:
    lines: list[str] = []
    for line in demo.stdout or ():
        lines.append(line)
        if words in line:
            break
    return lines


def _ports(endpoints: Endpoints) -> list[int]:
    urls = (endpoints.database_url, endpoints.redis_url, endpoints.smtp_url)
    return [endpoints.port, endpoints.flower_port, *(urlsplit(url).port or 0 for url in urls)]


def _leads_elsewhere(name: str) -> bool:
    return name in {"DATABASE_URL", "REDIS_URL", "SMTP_URL"} or name.startswith("JOBYARD_")
