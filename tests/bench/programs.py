"""Programs that the benchmark starts: measured, held on a leash, and stopped whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from ops.leash import Command, Hold, Leash
from ops.paths import ROOT

GRACE_SECONDS = 8.0


class ProgramEnded(RuntimeError):
    """Says that a program of a contender died."""


class Program:
    """Is a Python program in a process group of its own, with its standard error in a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path, leash: Leash) -> None:
        self.log = log
        self._leash = leash
        with log.open("ab") as sink:
            command = Command([sys.executable, *arguments], ROOT, inherited_environment() | environment)
            self._child = leash.spawn(command, sink, Hold(grace=GRACE_SECONDS))

    @property
    def pid(self) -> int:
        return self._child.pid

    def require_alive(self) -> None:
        """Raise `ProgramEnded` with the end of the log when the program is gone."""
        if self._child.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise ProgramEnded(f"{self.log.stem} ended with {self._child.returncode}:\n{tail}")

    def suspend(self) -> None:
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._child.poll() is None:
            self._child.terminate()
            with suppress(ProcessLookupError):
                self.resume()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()
        self._leash.release(self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def inherited_environment() -> dict[str, str]:
    """Give this environment without what would slow a start down or configure a contender behind our back."""
    foreign = ("JOBYARD_", "DATABASE_URL", "REDIS_URL", "SMTP_URL", "PYTHONDONTWRITEBYTECODE", "UVICORN_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def cpu_seconds(pid: int) -> float:
    """Sum the user and system time of a process, its children, and those children that have ended."""
    total = 0.0
    root = psutil.Process(pid)
    for member in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            times = member.cpu_times()
            total += _own_seconds(member.pid, times.user + times.system)
            total += times.children_user + times.children_system
    return total


def _own_seconds(pid: int, in_ticks: float) -> float:
    if sys.platform != "linux":
        return in_ticks
    # The clock of another process, clock_getcpuclockid(3): nanoseconds, where /proc counts in ticks of 10 ms, of which
    # a dozen idle PostgreSQL processes would each lose a half.
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return in_ticks


def cpu_by_part(parts: dict[str, int]) -> dict[str, float]:
    """Take the CPU seconds of each named part, given by its leader's process id."""
    return {name: cpu_seconds(pid) for name, pid in parts.items()}


def resident_megabytes(pid: int) -> float:
    """Read a process's resident memory."""
    return psutil.Process(pid).memory_info().rss / 2**20


def stop_all(programs: Iterable[Program]) -> None:
    """Stop programs, the last started first."""
    for program in reversed(list(programs)):
        program.stop()
