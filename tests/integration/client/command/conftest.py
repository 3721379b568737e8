"""The command as a process of its own, against the Jobyard of the tests of the client."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.client.conftest import PASSWORD, Login

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


@pytest.fixture
def email(login: Login) -> str:
    """Make an account for a test."""
    return login["email"]


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
