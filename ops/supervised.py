"""One supervised program: started, watched, started again with back-off, stopped with its whole group."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ops.leash import Command, Hold, Leash
from ops.output import Output
from ops.procfile import Program

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 10.0
_LIVED_LONG_SECONDS = 10.0


class ProgramTimeout(TimeoutError):
    """A program did not start or end in time."""


class Supervised:
    """A program that leads its own process group; no member of it outlives the leader."""

    def __init__(
        self,
        program: Program,
        environment: Mapping[str, str],
        directory: Path,
        output: Output,
        leash: Leash,
        *,
        restart: bool,
    ) -> None:
        self.program = program
        self.exits: list[int] = []
        complete = {**environment, **program.environment, "JOBYARD_PROGRAM": program.name}
        self._command = Command(["/bin/sh", "-c", program.command], directory, complete)
        self._output = output
        self._leash = leash
        self._restart = restart
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._child: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The leader's process id; None while it does not run."""
        child = self._child
        return None if child is None else child.pid

    def start(self) -> None:
        """Start the program, unless it runs; returns when it has a process id."""
        if self._watcher is not None and self._watcher.is_alive():
            return
        self._stopping.clear()
        self._spawn()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name=f"watch {self.program.name}")
        self._watcher.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the leader alone, which stops its children as it sees fit, and end restarts."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        # A frozen group would not hear it.
        self.signal_group(signal.SIGCONT)
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def finish(self, deadline: float) -> None:
        """Wait until the program has ended, and kill its group at the deadline (of the monotonic clock)."""
        if self._watcher is None:
            return
        self._watcher.join(max(0.0, deadline - time.monotonic()))
        if self._watcher.is_alive():
            self.signal_group(signal.SIGKILL)
            self._watcher.join()

    def kill(self) -> None:
        """Kill the whole group and end restarts; takes no lock, so a signal handler may call it."""
        self._stopping.set()
        self.signal_group(signal.SIGKILL)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to every member of the group, if there is one."""
        if (pid := self.pid) is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)

    def wait_exit(self, count: int, seconds: float) -> int:
        """Wait for the exit number `count` (from 1) and return its code (-9: SIGKILL). Raises ProgramTimeout."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.exits) >= count, seconds):
                raise ProgramTimeout(f"{self.program.name} has not ended within {seconds:g} s")
            return self.exits[count - 1]

    def wait_replaced(self, pid: int, seconds: float) -> int:
        """Wait until the program runs with another process id and return that. Raises ProgramTimeout."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.pid not in {None, pid}, seconds):
                raise ProgramTimeout(f"{self.program.name} was not started again within {seconds:g} s")
            return self.pid or 0

    def _spawn(self) -> None:
        with self._changed:
            if self._stopping.is_set():
                return
            with self._output.open(self.program.name) as sink:
                self._child = self._leash.spawn(self._command, sink, Hold())
            self._changed.notify_all()

    def _watch(self) -> None:
        delay = _FIRST_DELAY
        while (child := self._child) is not None:
            started = time.monotonic()
            code = self._await_end(child)
            with self._changed:
                self._child = None
                self.exits.append(code)
                self._changed.notify_all()
            if time.monotonic() - started > _LIVED_LONG_SECONDS:
                delay = _FIRST_DELAY
            if not self._restart or self._stopping.wait(delay):
                return
            delay = min(delay * 2, _LONGEST_DELAY)
            self._spawn()

    def _await_end(self, child: subprocess.Popen[bytes]) -> int:
        # Where the system can tell of an end without reaping it, the group's number cannot have been given
        # to another when the rest of the group is killed.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        else:
            child.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        code = child.wait()
        self._leash.release(child.pid)
        return code
