"""Ctrl-C: the first ends what runs in good order, the second at once."""

import asyncio
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from jobyard.command.exits import ExitStatus

_SHOW_CURSOR = "\x1b[?25h"


class Interrupts:
    """Turns the first SIGINT into the cancellation of the running task, or KeyboardInterrupt where there is none."""

    def __init__(self) -> None:
        self.happened = False
        self._task: asyncio.Task[Any] | None = None

    def install(self) -> None:
        """Take over SIGINT, unless whoever started this command wants it ignored."""
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._interrupt)

    @contextmanager
    def cancelling(self) -> Generator[None]:
        """Have the task of the caller cancelled meanwhile."""
        self._task = asyncio.current_task()
        try:
            yield
        finally:
            self._task = None

    def _interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self.happened:
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), f"{_SHOW_CURSOR}\n".encode())
            os._exit(ExitStatus.INTERRUPTED)
        self.happened = True
        if self._task is None:
            raise KeyboardInterrupt
        # The loop may be asleep: only this wakes it.
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)


interrupts = Interrupts()
"""Those of this process."""
