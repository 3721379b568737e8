"""`make up` and Ctrl-C in a terminal: a running job is put back, with its attempt."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psycopg
import pytest

from ops.endpoints import load_endpoints
from ops.paths import ROOT
from ops.postgres import LocalPostgres
from tests.faults.conftest import Visitor, sign_in

CTRL_C = b"\x03"
# Makes the terminal the one that Ctrl-C is typed at, as a login does.
AT_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
)


class Terminal:
    """Is a terminal with `python -m ops up` in it."""

    def __init__(self, var: Path) -> None:
        self._keyboard, screen = pty.openpty()
        command = [sys.executable, "-m", "ops", "--var", str(var), "up"]
        inherited = {name: value for name, value in os.environ.items() if not _leads_elsewhere(name)}
        given = {"JOBYARD_JOB_MODULES": "worker.jobs,tests.kinds", "PYTHONPATH": str(ROOT)}
        self.program = subprocess.Popen(
            [sys.executable, "-c", AT_THE_TERMINAL, *command],
            cwd=ROOT, env=inherited | given, stdin=screen, stdout=screen, stderr=screen, start_new_session=True,
        )  # fmt: skip
        os.close(screen)
        self._shown = b""
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                shown = os.read(self._keyboard, 65536)
            except OSError:
                # Linux says so when the last program at the terminal has ended.
                shown = b""
            with self._more:
                self._shown += shown
                self._more.notify_all()
            if not shown:
                return

    def wait_for(self, words: str) -> None:
        with self._more:
            assert self._more.wait_for(lambda: words.encode() in self._shown, 90), self._shown.decode()

    def press(self, key: bytes) -> None:
        os.write(self._keyboard, key)

    def end(self) -> tuple[int, str]:
        """Wait for the end; gives the exit code and all that was shown."""
        code = self.program.wait(60)
        self._reader.join()
        os.close(self._keyboard)
        return code, self._shown.decode()


def _leads_elsewhere(name: str) -> bool:
    return name in {"DATABASE_URL", "REDIS_URL", "SMTP_URL"} or name.startswith("JOBYARD_")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[LocalPostgres]:
    """Give the PostgreSQL that `up` runs, to be looked into afterwards; root's keeps its files elsewhere."""
    database = LocalPostgres(tmp_path / "var" / "postgres")
    yield database
    database.remove()


@contextmanager
def visiting(var: Path, gates: Path) -> Generator[Visitor]:
    """Sign in with the login that `up` shows."""
    endpoints = load_endpoints(var / "endpoints.json")
    with httpx2.Client(base_url=endpoints.api_url, timeout=40) as client:
        sign_in(client, {"email": endpoints.login_email, "password": endpoints.login_password})
        yield Visitor(client, gates)


@pytest.mark.long
def test_a_job_that_runs_is_put_back_with_its_attempt(database: LocalPostgres, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "var")
    try:
        terminal.wait_for("Jobyard is ready")
        with visiting(tmp_path / "var", tmp_path) as visitor:
            path = visitor.enqueue("test.gate", {"path": str(visitor.make_gate("gate"))})
            visitor.wait_for_attempt(path, 1)
        terminal.press(CTRL_C)
        code, shown = terminal.end()
    finally:
        terminal.program.kill()
    assert code == 0, shown
    assert "stopping; Ctrl-C again kills" in shown

    with psycopg.connect(database.start()) as connection:
        columns = "state, jobs.attempt, put_backs, job_attempts.attempt, outcome"
        ended = connection.execute(
            f"SELECT {columns} FROM jobs JOIN job_attempts ON job_id = id WHERE kind = 'test.gate'"  # noqa: S608 - a test's own
        ).fetchall()
    assert ended == [("queued", 0, 1, 1, "put_back")]
