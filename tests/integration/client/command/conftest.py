"""The command as a process of its own, against the Jobyard of the tests of the client."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobyard import Jobyard
from jobyard.command.credentials import CredentialsFile
from jobyard.command.sign_ins import sign_in_of
from tests.integration.client.command.forks import Forks, open_forks
from tests.integration.client.conftest import Login

SAMPLES = Path("jobyard/samples").absolute()


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
    environment: dict[str, str]
    forks: Forks

    @property
    def credentials(self) -> Path:
        return Path(self.environment["XDG_CONFIG_HOME"]) / "jobyard" / "credentials.json"

    def start(self, *words: str | Path, **pipes: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "jobyard", *map(str, words)]
        streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | pipes
        return subprocess.Popen[bytes](command, cwd=self.directory, env=self.environment, **streams)

    def run(self, *words: str | Path, stdin: bytes = b"") -> Finished:
        status, output, errors = self.forks.run([*map(str, words)], self.directory, self.environment, stdin)
        return Finished(status, output, errors.decode())

    def ok(self, *words: str | Path, stdin: bytes = b"") -> Finished:
        finished = self.run(*words, stdin=stdin)
        assert finished.status == 0, finished.errors
        return finished


@pytest.fixture
def email(login: Login) -> str:
    """Make an account for a test."""
    return login["email"]


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Run the process that forks for each run of the command."""
    with open_forks(tmp_path_factory.mktemp("forks"), given_environment()) as forks:
        yield forks


@pytest.fixture
def nobody(tmp_path: Path, forks: Forks) -> Shell:
    """Give a shell in which nobody is signed in."""
    work = tmp_path / "work"
    work.mkdir()
    return Shell(
        work, given_environment() | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}, forks
    )


@pytest.fixture
def shell(nobody: Shell, url: str, login: Login) -> Shell:
    """Give a shell in which an account of its own is signed in, as `jobyard login` leaves it."""
    file = CredentialsFile(nobody.credentials)
    with Jobyard(url) as client, file.locked():
        file.keep(url, sign_in_of(login["email"], client.login(**login)), as_current=True)
    return nobody


def given_environment() -> dict[str, str]:
    """Give what a command needs of this environment."""
    return {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
