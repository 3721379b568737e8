"""What is measured of the fronts: their start, accepting jobs, and telling status."""

from collections.abc import Callable, Iterable

from tests.bench.contender import Contender
from tests.bench.figures import Figure, Samples, percentile
from tests.bench.load import LoadGenerator
from tests.bench.orders import Storm
from tests.bench.plan import Plan
from tests.bench.programs import cpu_seconds, resident_megabytes

_HEAVY = ("celery", "kombu", "PIL")
WARM_UP_SECONDS = 0.3
ACCEPT = "accept a job"
STATUS = "tell a status"


def measure_starts(contenders: Iterable[Contender], plan: Plan) -> list[Figure]:
    """Start the fronts again and again; the last ones keep running."""
    samples = Samples("front")
    for number in range(plan.starts):
        for contender in contenders:
            if number:
                contender.stop_front()
            seconds = contender.start_front()
            megabytes = resident_megabytes(contender.running_front().pid)
            samples.add(contender.name, "start to the first 200 of its health route", seconds, "s", "target < 1.2 s")
            samples.add(contender.name, "resident memory, started", megabytes, "MB")
    return samples.figures()


def find_heavy_imports(contender: Contender) -> list[str]:
    """Start the front with `-X importtime`, submit a job and ask for it; name the heavy packages that it imported."""
    log = contender.directory / "web.log"
    before = log.stat().st_size if log.exists() else 0
    contender.start_front("-X", "importtime")
    contender.sign_in()
    with LoadGenerator() as load:
        submit = contender.submit_request()
        load.carry_out(
            Storm(
                port=contender.port,
                requests=[submit],
                concurrency=1,
                expected_status=contender.submit_status,
                count=3,
                seconds=10,
            )
        )
    contender.stop_front()
    lines = log.read_bytes()[before:].decode(errors="replace").splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return [name for name in _HEAVY if name in imported]


def measure_storms(
    section: str,
    contenders: Iterable[Contender],
    load: LoadGenerator,
    plan: Plan,
    requests_of: Callable[[Contender], list[str]],
    *,
    target_cpu: str,
    target_p99: str = "",
) -> list[Figure]:
    """Storm the fronts by turns, at each concurrency, in rounds."""
    samples = Samples(section)
    prepared = [(contender, requests_of(contender)) for contender in contenders]
    for contender, requests in prepared:
        load.carry_out(_storm(contender, requests, 16, WARM_UP_SECONDS, section))
    for concurrency in plan.concurrencies:
        for _ in range(plan.storm_rounds):
            for contender, requests in prepared:
                front = contender.running_front()
                busy = cpu_seconds(front.pid)
                outcome = load.carry_out(_storm(contender, requests, concurrency, plan.storm_seconds, section))
                busy = cpu_seconds(front.pid) - busy
                answered = len(outcome.latencies)
                who, at = contender.name, f"at {concurrency:2}: "
                samples.add(who, f"{at}requests/s", answered / outcome.elapsed_seconds, "/s")
                samples.add(who, f"{at}CPU of the front", busy / answered * 1e6, "µs", target_cpu)
                samples.add(who, f"{at}p50", percentile(outcome.latencies, 50), "ms")
                samples.add(who, f"{at}p99", percentile(outcome.latencies, 99), "ms", target_p99)
    return samples.figures()


def measure_memory(contenders: Iterable[Contender]) -> list[Figure]:
    """Read the memory of the fronts after all the work."""
    samples = Samples("front, at the end")
    for contender in contenders:
        samples.add(contender.name, "resident memory", resident_megabytes(contender.running_front().pid), "MB")
    return samples.figures()


def _storm(contender: Contender, requests: list[str], concurrency: int, seconds: float, section: str) -> Storm:
    expected = contender.submit_status if section == ACCEPT else 200
    return Storm(
        port=contender.port, requests=requests, concurrency=concurrency, expected_status=expected, seconds=seconds
    )
