"""A leash on child processes: when the process that holds it dies, by whatever signal, they are stopped.

The other end is this same file, run as a small program that outlives its parent. It learns of the children
through a pipe, and the end of the pipe is the news of the parent's death. Unlike PR_SET_PDEATHSIG this works
on macOS, does not fire when a mere thread ends, and keeps the order in which things have to stop.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_POLL_SECONDS = 0.05
PROGRAM_RANK = 0
SERVICE_RANK = 1


class Leashed(NamedTuple):
    """A child that leads its own process group, and how it wants to be stopped."""

    pid: int
    rank: int = PROGRAM_RANK
    stop_signal: int = signal.SIGTERM
    grace: float = 8.0


class Leash:
    """Holds children; lower ranks are stopped first, all of one rank together.

    `keep_open` is a file descriptor that stays open until they are gone, whoever has died: a lock, say.
    """

    def __init__(self, keep_open: int | None = None) -> None:
        command = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
        self._keeper = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            pass_fds=() if keep_open is None else (keep_open,),
        )

    def add(self, child: Leashed) -> None:
        """Hold a child until it is released."""
        self._say({"add": child})

    def release(self, pid: int) -> None:
        """Forget a child that has ended and been waited for."""
        self._say({"release": pid})

    def close(self) -> None:
        """Stop what is still held, in order, and return when that is done."""
        if self._keeper.stdin is not None:
            with suppress(OSError):
                self._keeper.stdin.close()
        self._keeper.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _say(self, message: dict[str, object]) -> None:
        if self._keeper.stdin is not None:
            # A leash that someone killed cannot hold, but everything else still works without it.
            with suppress(OSError):
                # One write per line: lines from several threads do not mix.
                os.write(self._keeper.stdin.fileno(), json.dumps(message).encode() + b"\n")


def stop_all(children: list[Leashed]) -> None:
    """Stop groups of processes that are not our children: leaders politely, then every group for good."""
    for rank in sorted({child.rank for child in children}):
        held = [child for child in children if child.rank == rank]
        for child in held:
            with suppress(ProcessLookupError):
                os.kill(child.pid, child.stop_signal)
        for child in held:
            _wait_gone(child.pid, time.monotonic() + child.grace)
        for child in held:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)


def _wait_gone(pid: int, deadline: float) -> None:
    while _exists(pid) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # In a container whose first process reaps nobody, the ended ones stay as zombies.
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(errors="replace")
    return True


def _keep() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    held: dict[int, Leashed] = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "add" in message:
            child = Leashed(*message["add"])
            held[child.pid] = child
        else:
            held.pop(message["release"], None)
    stop_all(list(held.values()))


if __name__ == "__main__":
    _keep()
