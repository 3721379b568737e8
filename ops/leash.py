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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

_POLL_SECONDS = 0.05
# A child does nothing before the leash knows it: if its parent dies first, this reads the end of the pipe and ends.
_GATE = 'read -r go || exit 1; exec "$@" </dev/null'
PROGRAM_RANK = 0
SERVICE_RANK = 1


@dataclass(frozen=True)
class Command:
    """What to run, and as whom (None: as ourselves)."""

    arguments: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    uid: int | None = None
    gid: int | None = None


class Hold(NamedTuple):
    """When and how a child wants to be stopped."""

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

    def spawn(self, command: Command, output: IO[bytes], hold: Hold) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own and hold it until it is released. Raises OSError."""
        child = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "sh", *command.arguments],
            cwd=command.directory,
            env=dict(command.environment),
            user=command.uid,
            group=command.gid,
            extra_groups=None if command.uid is None else [],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        self._say({"add": [child.pid, *hold]})
        if child.stdin is not None:
            with suppress(OSError), child.stdin:
                child.stdin.write(b"go\n")
        return child

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


def stop_all(children: Mapping[int, Hold]) -> None:
    """Stop groups that are not our children, by their leaders' pids: politely, then every group for good."""
    for rank in sorted({hold.rank for hold in children.values()}):
        held = {pid: hold for pid, hold in children.items() if hold.rank == rank}
        for pid, hold in held.items():
            with suppress(ProcessLookupError):
                os.kill(pid, hold.stop_signal)
        deadline = time.monotonic() + max(hold.grace for hold in held.values())
        for pid in held:
            _wait_gone(pid, deadline)
        for pid in held:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)


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
    held: dict[int, Hold] = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "add" in message:
            pid, *hold = message["add"]
            held[pid] = Hold(*hold)
        else:
            held.pop(message["release"], None)
    stop_all(held)


if __name__ == "__main__":
    _keep()
