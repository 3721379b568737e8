"""Servers that a killed parent left running: found by what they are, never by a pid file's word alone."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_POLL_SECONDS = 0.02
_GRACE_SECONDS = 10.0


class LeftoverSurvives(RuntimeError):
    """A server of an earlier run could not be stopped."""


def command_of(pid: int) -> str | None:
    """Read the command line of a running process; None when there is no such process (a zombie is none)."""
    if Path("/proc/self/cmdline").exists():
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        return raw.replace(b"\0", b" ").decode(errors="replace").strip() or None
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return answer.stdout.strip() or None


def recorded_pid(pid_file: Path) -> int | None:
    """Read the first line of a pid file; None when it is missing or makes no sense."""
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if pid > 1 else None


def end_leftover(pid_file: Path, marker: str, stop_signal: signal.Signals) -> int | None:
    """Stop the process a pid file names, if its command line shows the marker, and return its pid.

    A stale file, or a pid that another program has got since, stops nothing. Raises LeftoverSurvives.
    """
    pid = recorded_pid(pid_file)
    if pid is None or marker not in (command_of(pid) or ""):
        return None
    for attempt in (stop_signal, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, attempt)
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline:
            if marker not in (command_of(pid) or ""):
                return pid
            time.sleep(_POLL_SECONDS)
    raise LeftoverSurvives(f"process {pid} of an earlier run does not end: {command_of(pid)}")
