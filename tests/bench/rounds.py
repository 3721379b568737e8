"""Small calls measured beside each other in one process: in rounds, in an order that chance decides."""

import random
import time
from collections.abc import Callable, Mapping
from statistics import median

ROUNDS = 9
_SEED = 5


def measure_rounds(contenders: Mapping[str, Callable[[], object]], calls: int) -> None:
    """Print each contender's CPU time for a call in µs: the median of the rounds, the least and the most.

    CPU time is that of this thread; a round makes `calls` calls.
    """
    order = random.Random(_SEED)  # noqa: S311 - an order, no secret
    found = {name: list[float]() for name in contenders}
    for _ in range(ROUNDS):
        for name in order.sample(list(contenders), len(contenders)):
            found[name].append(_measure(contenders[name], calls))
    for name, figures in found.items():
        print(f"{name:28} {median(figures):8.1f} µs  ({min(figures):.1f} to {max(figures):.1f})")


def _measure(call: Callable[[], object], calls: int) -> float:
    start = time.thread_time()
    for _ in range(calls):
        call()
    return (time.thread_time() - start) / calls * 1e6
