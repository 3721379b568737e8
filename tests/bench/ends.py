"""What is measured from end to end: latency, throughput, and the CPU of everything that takes part."""

import time
from collections.abc import Iterable

from tests.bench.contender import Contender
from tests.bench.figures import Figure, Samples, percentile
from tests.bench.load import LoadGenerator
from tests.bench.orders import Order, Storm, Submissions, Trickle
from tests.bench.plan import Plan

CLIENT_POLL_SECONDS = 0.1
TIGHT_POLL_SECONDS = 0.001
GAP_SECONDS = 0.02
_WARM_UP_JOBS = 100
_CPU_TARGET = "target ≤ 1.3"


def warm_up(contender: Contender, load: LoadGenerator) -> None:
    """Let every child of the workers run some jobs."""
    _submit_all(contender, load, _burst(contender, _WARM_UP_JOBS), _WARM_UP_JOBS)


def finish_some(contender: Contender, load: LoadGenerator, count: int) -> list[str]:
    """Run some jobs to their end and give their ids, for asking their status."""
    outcome = load.carry_out(_submissions(contender, count, TIGHT_POLL_SECONDS))
    return outcome.job_ids


def measure_latency(contenders: Iterable[Contender], load: LoadGenerator, plan: Plan) -> list[Figure]:
    """See jobs through one after another: as a client of each would, and then both by asking without a pause."""
    native, tight = Samples("submit to done"), Samples("submit to done")
    pooled: dict[tuple[str, str], list[float]] = {}
    for _ in range(plan.latency_rounds):
        for contender in contenders:
            waits = contender.can_wait
            count = plan.waited_jobs if waits else plan.polled_jobs
            outcome = load.carry_out(_submissions(contender, count, None if waits else CLIENT_POLL_SECONDS))
            pooled.setdefault((contender.name, "native"), []).extend(outcome.latencies)
        for contender in contenders:
            outcome = load.carry_out(_submissions(contender, plan.waited_jobs, TIGHT_POLL_SECONDS))
            pooled.setdefault((contender.name, "tight"), []).extend(outcome.latencies)
    for (who, how), latencies in pooled.items():
        way = "as a client does it*" if how == "native" else "asked every 1 ms"
        samples = native if how == "native" else tight
        for percent in (50, 99):
            samples.add(who, f"{way}: p{percent}", percentile(latencies, percent), "ms")
    return native.figures() + tight.figures()


def measure_backlog(contenders: Iterable[Contender], load: LoadGenerator, plan: Plan) -> list[Figure]:
    """Let a backlog grow while the workers are frozen, then let them drain it."""
    samples, count = Samples("a backlog"), plan.backlog_jobs
    for _ in range(plan.backlog_rounds):
        for contender in contenders:
            contender.start_counting()
            finished, before = contender.count_finished(), contender.cpu_by_part()
            contender.suspend_behind()
            try:
                load.carry_out(_burst(contender, count))
            finally:
                started = time.perf_counter()
                contender.resume_behind()
            contender.wait_finished(finished + count)
            seconds = time.perf_counter() - started
            samples.add(contender.name, "no-op jobs/s through the worker", count / seconds, "/s")
            _add_cpu(samples, contender, before, count, _CPU_TARGET)
    return samples.figures()


def measure_flow(contenders: Iterable[Contender], load: LoadGenerator, plan: Plan) -> list[Figure]:
    """Accept and run jobs at the same time, as fast as it goes."""
    samples, count = Samples("all at once"), plan.backlog_jobs
    for _ in range(plan.backlog_rounds):
        for contender in contenders:
            contender.start_counting()
            before, started = contender.cpu_by_part(), time.perf_counter()
            _submit_all(contender, load, _burst(contender, count), count)
            samples.add(contender.name, "jobs/s, accepted and run", count / (time.perf_counter() - started), "/s")
            _add_cpu(samples, contender, before, count, _CPU_TARGET)
    return samples.figures()


def measure_trickle(contenders: Iterable[Contender], load: LoadGenerator, plan: Plan) -> list[Figure]:
    """Submit at a steady, low pace, where what happens once per round or second weighs most."""
    samples, count = Samples(f"{plan.trickle_per_second} jobs/s"), plan.trickle_jobs
    for _ in range(plan.trickle_rounds):
        for contender in contenders:
            contender.start_counting()
            order = Trickle(
                port=contender.port,
                request=contender.submit_request(),
                count=count,
                per_second=plan.trickle_per_second,
                expected_status=contender.submit_status,
            )
            before = contender.cpu_by_part()
            _submit_all(contender, load, order, count)
            _add_cpu(samples, contender, before, count, "")
    return samples.figures()


def measure_idle(contenders: Iterable[Contender], plan: Plan) -> list[Figure]:
    """Do nothing for a while; both at the same time, which disturbs neither."""
    samples = Samples("idle")
    before = {contender.name: contender.cpu_by_part() for contender in contenders}
    time.sleep(plan.idle_seconds)
    for contender in contenders:
        _add_cpu(samples, contender, before[contender.name], plan.idle_seconds, "", per="s", unit="ms", scale=1e3)
    return samples.figures()


def _add_cpu(
    samples: Samples,
    contender: Contender,
    before: dict[str, float],
    count: float,
    target: str,
    *,
    per: str = "job",
    unit: str = "µs",
    scale: float = 1e6,
) -> None:
    spent = {part: seconds - before[part] for part, seconds in contender.cpu_by_part().items()}
    samples.add(
        contender.name, f"CPU per {per}, all and both services", sum(spent.values()) / count * scale, unit, target
    )
    for part in ("web", "dispatcher", "worker", "postgres", "redis"):
        samples.declare(f"  of it {part}", unit)
        if part in spent:
            samples.add(contender.name, f"  of it {part}", spent[part] / count * scale, unit)


def _submit_all(contender: Contender, load: LoadGenerator, order: Order, count: int) -> None:
    finished = contender.count_finished()
    load.carry_out(order)
    contender.wait_finished(finished + count)


def _burst(contender: Contender, count: int) -> Storm:
    return Storm(
        port=contender.port,
        requests=[contender.submit_request()],
        concurrency=16,
        expected_status=contender.submit_status,
        count=count,
    )


def _submissions(contender: Contender, count: int, poll_seconds: float | None) -> Submissions:
    wait = 10 if poll_seconds is None else None
    return Submissions(
        port=contender.port,
        submit=contender.submit_request(wait=wait),
        status_headers=contender.headers | ({} if wait is None else {"Prefer": f"wait={wait}"}),
        dialect=contender.dialect,
        count=count,
        gap_seconds=GAP_SECONDS,
        poll_seconds=poll_seconds,
    )
