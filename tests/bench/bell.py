"""A bell: how a job tells the harness, at once and for next to nothing, that it runs.

The first and the last job of a round ring, the others do not. Both times are read from the clock in the handler, which
is the same in all processes of a machine, so nobody's polling or waking up is part of what lies between them.
"""

import os
import select
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 120.0


class BellSilent(RuntimeError):
    """Says that a job that was to ring did not."""


def ring(path: str) -> None:
    """Ring the bell with this path; "" is for jobs that do not ring."""
    if path:
        with Path(path).open("w") as fifo:
            fifo.write(f"{time.monotonic()!r}\n")


class Bell:
    """Is heard while entered; a FIFO, so that who rings never waits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._heard = b""
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        # Our own writing end keeps the FIFO open when nobody else has it open.
        self._fifo = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> float:
        """Wait for the next ring and give its time, of the monotonic clock. Raises `BellSilent`."""
        while b"\n" not in self._heard:
            if not select.select([self._fifo], [], [], seconds)[0]:
                raise BellSilent(f"no job rang at {self.path} within {seconds:.0f} s")
            self._heard += os.read(self._fifo, 4096)
        line, self._heard = self._heard.split(b"\n", 1)
        return float(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fifo)
        self.path.unlink(missing_ok=True)
