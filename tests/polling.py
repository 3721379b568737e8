"""Looking until something is so, of which nobody tells: with pauses, for a test that spins takes others' processor."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import psutil

PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 90.0

Found = TypeVar("Found")


def await_that(look: Callable[[], Found | None]) -> Found:
    """Look until there is something true to be seen, and give it. Raises AssertionError after 90 s."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"not so within {PATIENCE_SECONDS:.0f} s"
        time.sleep(PAUSE_SECONDS)
    return found


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process has ended, also if nobody has reaped it: whoever inherits orphans may take its time."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True
