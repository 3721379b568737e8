"""A whole Jobyard, and the command as a process of its own against it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jobyard import Jobyard
from tests.faults.conftest import Yard, open_yard

PASSWORD = "correct horse battery staple"
SAMPLES = Path("jobyard/samples").absolute()
_numbers = count()


@dataclass(frozen=True)
class Finished:
    """Is what a command has left."""

    status: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        return self.output.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.output)


@dataclass(frozen=True)
class Shell:
    """Is where commands are run: a directory, and an environment that has nothing of ours but what a test gives."""

    directory: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def credentials(self) -> Path:
        return Path(self.environment["XDG_CONFIG_HOME"]) / "jobyard" / "credentials.json"

    def start(self, *words: str | Path, **pipes: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "jobyard", *map(str, words)]
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | pipes
        return subprocess.Popen[bytes](command, cwd=self.directory, env=self.environment, **streams)

    def run(self, *words: str | Path, stdin: bytes = b"") -> Finished:
        with self.start(*words) as process:
            output, errors = process.communicate(stdin, timeout=120)
        return Finished(process.returncode, output, errors.decode())

    def ok(self, *words: str | Path, stdin: bytes = b"") -> Finished:
        finished = self.run(*words, stdin=stdin)
        assert finished.status == 0, finished.errors
        return finished


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Run a Jobyard for all tests of the command."""
    with open_yard(
        tmp_path_factory.mktemp("command"),
        only=("web", "dispatcher", "worker", "mailbox"),
        lease_seconds=30,
        environment={"JOBYARD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"},
    ) as yard:
        yield yard


@pytest.fixture
def url(yard: Yard) -> str:
    """Give the address of the server."""
    return yard.stack.endpoints.api_url


@pytest.fixture
def email(url: str) -> str:
    """Make an account for a test."""
    address = f"user{next(_numbers)}@example.com"
    with Jobyard(url) as client:
        client.register(address, PASSWORD)
    return address


@pytest.fixture
def nobody(tmp_path: Path) -> Shell:
    """Give a shell in which nobody is signed in."""
    work = tmp_path / "work"
    work.mkdir()
    given = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    return Shell(work, given | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")})


@pytest.fixture
def shell(nobody: Shell, url: str, email: str) -> Shell:
    """Give a shell in which an account of its own is signed in."""
    nobody.ok("login", "--url", url, "--email", email, "--password-stdin", stdin=f"{PASSWORD}\n".encode())
    return nobody
