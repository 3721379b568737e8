"""The harness's end of the load generator."""

import json
import subprocess
import sys
from dataclasses import asdict
from types import TracebackType
from typing import Self

from ops.paths import ROOT
from tests.bench.orders import Order, Outcome
from tests.bench.programs import inherited_environment


class LoadFailed(RuntimeError):
    """Says that an order could not be carried out, so that its figures mean nothing."""


class LoadGenerator:
    """Runs the generator; `busiest` is the greatest share of a core that it ever needed.

    It needs no leash: it ends with its standard input, which ends with this process.
    """

    def __init__(self) -> None:
        self.busiest = 0.0
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.generator"],
            cwd=ROOT,
            env=inherited_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def carry_out(self, order: Order) -> Outcome:
        """Wait for an order's outcome; raises `LoadFailed`."""
        if self._child.stdin is None or self._child.stdout is None:
            raise LoadFailed("the generator has no pipes")
        print(json.dumps([type(order).__name__, asdict(order)]), file=self._child.stdin, flush=True)
        line = self._child.stdout.readline()
        if not line:
            raise LoadFailed("the load generator ended")
        outcome = Outcome(**json.loads(line))
        if outcome.error:
            raise LoadFailed(f"port {order.port}: {outcome.error}")
        self.busiest = max(self.busiest, outcome.generator_share)
        return outcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()
        if self._child.stdout is not None:
            self._child.stdout.close()
        self._child.kill()
        self._child.wait()
