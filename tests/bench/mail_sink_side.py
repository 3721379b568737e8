"""The harness's side of the sink."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ops.paths import ROOT
from tests.bench.contender import NotReady
from tests.bench.mail_sink import Arrivals
from tests.bench.programs import cpu_seconds, inherited_environment

PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.02


class MailSink:
    """Runs a sink; `busiest` is the greatest share of a core that it needed while messages came.

    It needs no leash: it ends with its standard input, which ends with this process.
    """

    def __init__(self) -> None:
        self.busiest = 0.0
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.mail_sink"],
            cwd=ROOT,
            env=inherited_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.port = int(self._read())
        self._busy = 0.0

    def reset(self) -> None:
        """Begin to count anew."""
        self._ask("reset")
        self._busy = cpu_seconds(self._child.pid)

    def arrivals(self) -> Arrivals:
        """Tell what has arrived since the last reset."""
        return Arrivals(**json.loads(self._ask("read")))

    def wait_messages(self, count: int, began: float, require_alive: Callable[[], None]) -> float:
        """Wait for so many messages; gives the seconds from `began` until the last came."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (arrived := self.arrivals()).messages < count:
            require_alive()
            if time.monotonic() > deadline:
                raise NotReady(f"{arrived.messages} of {count} messages have arrived")
            time.sleep(_LOOK_SECONDS)
        seconds = arrived.last_at - began
        self.busiest = max(self.busiest, (cpu_seconds(self._child.pid) - self._busy) / seconds)
        return seconds

    def _ask(self, order: str) -> str:
        if self._child.stdin is None:
            raise NotReady("the sink has no pipes")
        print(order, file=self._child.stdin, flush=True)
        return self._read()

    def _read(self) -> str:
        line = self._child.stdout.readline() if self._child.stdout is not None else ""
        if not line:
            raise NotReady("the sink ended")
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.kill()
        self._child.wait()
