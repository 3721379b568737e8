"""How clients learn of a job's end: by a stream, a WebSocket, a held request, or by asking each second."""

import time
from contextlib import ExitStack
from pathlib import Path

from ops.leash import Leash
from tests.bench.beside_guide import say
from tests.bench.figures import Figure, Samples, percentile
from tests.bench.plan import Plan
from tests.bench.programs import cpu_seconds, resident_megabytes
from tests.bench.report import Part
from tests.bench.stream_ways import WAYS
from tests.bench.waiting_side import Told, WaitedFor

_POLLING, _LONG_POLL, _SOCKET, _STREAM = "polling", "long-poll", "WebSocket", "SSE"
_PUSHED = (_SOCKET, _STREAM)
_HELD = (_LONG_POLL, _SOCKET, _STREAM)
_EVENT_SECONDS = 0.02
_SETTLE_SECONDS = 0.3
_WARM_UP = 20
_TARGETS = {200: "target ≤ 5 ms"}


def measure_streams(directory: Path, plan: Plan) -> Part:
    """Let clients wait for jobs in each way, and end the jobs as a worker does."""
    say("streams: who waits for a job, and how soon they know")
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        front = WaitedFor(directory, plan, leash, stack)
        front.start_front()
        front.sign_in()
        busiest: list[float] = []
        figures = [
            *_measure_latency(front, plan, busiest),
            *_measure_events(front, plan),
            *_measure_memory(front, plan),
            *_measure_requests(front, plan),
        ]
    note = f"latency counts from the commit that ends the job; the waiters needed {max(busiest):.0%} of a core at most"
    return Part(
        title="Learning of a job's end", figures=figures, rivals=[_POLLING, _LONG_POLL, _SOCKET], subject=_STREAM,
        notes=[note],
    )  # fmt: skip


def _run(front: WaitedFor, way: str, count: int, seconds: float = _SETTLE_SECONDS) -> Told:
    held = front.begin_job()
    front.await_job(held, way, count)
    # A held request shows nothing of itself; and a poll must come at any moment of its second.
    time.sleep(seconds)
    return front.finish(held)


def _measure_latency(front: WaitedFor, plan: Plan, busiest: list[float]) -> list[Figure]:
    samples = Samples("from its end to the client")
    for count in plan.stream_waiters:
        rounds = plan.stream_rounds_alone if count == 1 else plan.stream_rounds
        pooled: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                told = _run(front, way, count)
                pooled[way] += told.milliseconds
                busiest.append(told.generator_share)
        for way, milliseconds in pooled.items():
            for percent in (50, 99):
                target = _TARGETS.get(count, "") if percent > 50 else ""
                samples.add(way, f"{count:,} waiting: p{percent}", percentile(milliseconds, percent), "ms", target)
    return samples.figures()


def _measure_events(front: WaitedFor, plan: Plan) -> list[Figure]:
    samples = Samples("CPU of the front for an event")
    for count in plan.stream_waiters:
        for _ in range(3):
            for way in _PUSHED:
                held = front.begin_job()
                front.await_job(held, way, count)
                before = cpu_seconds(front.running_front().pid)
                for step in range(plan.stream_events):
                    front.report(held, step, plan.stream_events)
                    time.sleep(_EVENT_SECONDS)
                spent = cpu_seconds(front.running_front().pid) - before
                front.finish(held)
                samples.add(way, f"{count:,} waiting, together", spent / plan.stream_events * 1e6, "µs")
                samples.add(way, f"{count:,} waiting, each", spent / plan.stream_events / count * 1e6, "µs")
    return samples.figures()


def _measure_memory(front: WaitedFor, plan: Plan) -> list[Figure]:
    samples = Samples("memory of the front")
    for way in _HELD:
        # A new one for each: what an earlier one has given back would hide what the next one takes.
        front.stop_front()
        front.start_front()
        _run(front, way, _WARM_UP)
        held = front.begin_job()
        before = resident_megabytes(front.running_front().pid)
        front.await_job(held, way, plan.stream_idle)
        time.sleep(_SETTLE_SECONDS)
        grown = resident_megabytes(front.running_front().pid) - before
        front.finish(held)
        target = "target < 40 kB (SSE)"
        samples.add(way, f"{plan.stream_idle:,} idle clients, each", grown * 1024 / plan.stream_idle, "kB", target)
    return samples.figures()


def _measure_requests(front: WaitedFor, plan: Plan) -> list[Figure]:
    samples = Samples("requests of a client")
    for way in WAYS:
        told = _run(front, way, _WARM_UP, plan.stream_job_seconds)
        name = f"for a job that takes {plan.stream_job_seconds:.0f} s"
        samples.add(way, name, told.requests / _WARM_UP, "")
    return samples.figures()
