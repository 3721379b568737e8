"""The schedule of faults: a thread that takes them from a shuffled bag, with pauses, until it is told to stop."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ops.local_service import ServiceFailed
from ops.stack import Stack
from tests.soak.faults import FaultImpossible, Faults
from tests.soak.plan import Plan


class Injector:
    """Causes faults while it is entered; leaving it waits until what is being broken is whole again."""

    def __init__(self, stack: Stack, plan: Plan, say: Callable[[str], None]) -> None:
        self.caused: Counter[str] = Counter()
        self.failures: list[str] = []
        self._plan = plan
        self._say = say
        self._stop = threading.Event()
        self._choice = random.Random(f"faults {plan.seed}")  # noqa: S311 - repeats itself, guards nothing
        self._faults = Faults(stack, self._choice, self._stop, plan.lease_seconds)
        self._thread = threading.Thread(target=self._inject, name="faults")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _inject(self) -> None:
        bag: list[Callable[[], None]] = []
        while not self._stop.wait(self._choice.uniform(self._plan.least_pause_seconds, self._plan.most_pause_seconds)):
            if not bag:
                bag = self._faults.bag()
                self._choice.shuffle(bag)
            self._cause(bag.pop())

    def _cause(self, fault: Callable[[], None]) -> None:
        name = fault.__name__
        began = time.monotonic()
        try:
            fault()
        except FaultImpossible:
            return
        except ServiceFailed as error:
            # A service that does not come back is a finding; without it there is nothing more to see.
            self.failures.append(f"{name}: {error}")
            self._stop.set()
        self.caused[name] += 1
        self._say(f"{name} ({time.monotonic() - began:.1f} s)")
