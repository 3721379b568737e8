"""Runs the programs of a Procfile: honcho's reader, with a supervisor that lets running jobs end well.

Honcho's own signals whole groups, so that a running job dies at once. This one asks the leaders, waits, and
kills the groups at a deadline.
"""

import os
import signal
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ops.leash import Leash
from ops.output import Output
from ops.paths import ROOT
from ops.procfile import Program
from ops.supervised import Supervised

GRACE_SECONDS = 7.0


def program_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return our environment with `extra`, with this Python's programs first on the PATH."""
    # Not resolved: the directory of the virtual environment, not the Python that it was made from.
    programs = str(Path(sys.executable).parent)
    # The user's PGPORT, PGSSLMODE and so on are about other servers.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    path = os.pathsep.join([programs, inherited.get("PATH", os.defpath)])
    return {**inherited, "PYTHONUNBUFFERED": "1", **extra, "PATH": path}


class ProgramNotRunning(LookupError):
    """A program has ended, or was never started."""


class Supervisor:
    """Keeps a set of programs running; with `restart=False` what has ended stays ended.

    A program is named as in the Procfile; extra replicas are `worker.2` and so on.
    """

    def __init__(
        self,
        programs: Collection[Program],
        environment: Mapping[str, str],
        output: Output,
        *,
        leash: Leash | None = None,
        directory: Path = ROOT,
        restart: bool = True,
    ) -> None:
        self._leash = leash or Leash()
        self._owns_leash = leash is None
        self._output = output
        complete = program_environment(environment)
        self._programs = {
            program.name: Supervised(program, complete, directory, output, self._leash, restart=restart)
            for program in programs
        }

    @property
    def names(self) -> list[str]:
        """The programs' names, in the Procfile's order."""
        return list(self._programs)

    def start(self) -> None:
        """Start every program that does not run."""
        for program in self._programs.values():
            program.start()

    def start_one(self, name: str) -> int:
        """Start one program that does not run and return its process id."""
        self._programs[name].start()
        return self.pid(name)

    def stop_one(self, name: str, grace: float = GRACE_SECONDS) -> None:
        """Stop one program as `stop` does; it is not started again until `start_one`."""
        self._programs[name].ask_to_stop()
        self._programs[name].finish(time.monotonic() + grace)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Ask all leaders to stop, and kill at the deadline what is left of their groups."""
        deadline = time.monotonic() + grace
        for program in self._programs.values():
            program.ask_to_stop()
        for program in self._programs.values():
            program.finish(deadline)
        self._output.flush()
        if self._owns_leash:
            self._leash.close()

    def kill(self) -> None:
        """Kill every group now and start nothing again; safe to call from a signal handler during `stop`."""
        for program in self._programs.values():
            program.kill()

    def pid(self, name: str) -> int:
        """Return the process id of a program's leader. Raises ProgramNotRunning."""
        pid = self._programs[name].pid
        if pid is None:
            raise ProgramNotRunning(f"{name} does not run")
        return pid

    def signal_group(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program and all its children, for example SIGSTOP or SIGKILL."""
        self._programs[name].signal_group(number)

    def exits(self, name: str) -> list[int]:
        """Return the codes with which a program has ended so far (-9: SIGKILL)."""
        return list(self._programs[name].exits)

    def wait_exit(self, name: str, *, count: int = 1, seconds: float = 30.0) -> int:
        """Wait for a program's exit number `count` and return its code (-9: SIGKILL). Raises ProgramTimeout."""
        return self._programs[name].wait_exit(count, seconds)

    def wait_replaced(self, name: str, pid: int, seconds: float = 30.0) -> int:
        """Wait until a program runs with another process id than `pid` and return it. Raises ProgramTimeout."""
        return self._programs[name].wait_replaced(pid, seconds)

    def first_failure(self) -> str | None:
        """Describe the first program that has ended by itself, with its last lines; None while none has."""
        for name, program in self._programs.items():
            if program.exits:
                tail = self._output.tail(name)
                return f"{name} ended with {program.exits[0]}" + (f":\n{tail}" if tail else "")
        return None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
