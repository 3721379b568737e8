"""`python -m tests.bench`: measure the guide's design and Jobyard in one run, print the table, stop everything."""

import argparse
import shlex
import signal
import sys
import time
from contextlib import ExitStack

from ops.leash import Leash
from ops.paths import VAR
from tests.bench import ends, fronts
from tests.bench.contender import Contender
from tests.bench.figures import Figure
from tests.bench.jobyard_side import Jobyard
from tests.bench.load import LoadGenerator
from tests.bench.naive_side import Naive
from tests.bench.plan import FULL, QUICK, Plan
from tests.bench.report import print_table, write_report

RUN_DIRECTORY = VAR / "bench" / "run"
REPORT = VAR / "bench" / "latest.json"


def measure(plan: Plan) -> tuple[list[Figure], list[str]]:
    """Run all measurements and give figures and notes."""
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        contenders: list[Contender] = []
        for name, made in (("guide", Naive), ("jobyard", Jobyard)):
            contenders.append(made(RUN_DIRECTORY / name, plan, leash, stack))
        load = stack.enter_context(LoadGenerator())
        notes = [_note_imports(contender) for contender in contenders]
        _say("fronts: start")
        figures = fronts.measure_starts(contenders, plan)
        for contender in contenders:
            contender.sign_in()
        _say("fronts: accept jobs, while nothing runs them")
        figures += fronts.measure_storms(
            fronts.ACCEPT,
            contenders,
            load,
            plan,
            lambda contender: [contender.submit_request()],
            target_cpu="target ≤ 0.6",
            target_p99="target ≤ 0.5",
        )
        for contender in contenders:
            contender.drop_backlog()
            contender.start_counting()
            contender.start_behind()
            ends.warm_up(contender, load)
        _say("fronts: tell the status of finished jobs")
        figures += fronts.measure_storms(
            fronts.STATUS, contenders, load, plan, lambda contender: _status_requests(contender, load, plan),
            target_cpu="target ≤ 1.2",
        )  # fmt: skip
        figures += _measure_ends(contenders, load, plan)
        figures += fronts.measure_memory(contenders)
        notes.append(f"* the guide: asked every {ends.CLIENT_POLL_SECONDS * 1000:.0f} ms; Jobyard: Prefer: wait")
        notes.append(f"the load generator needed {load.busiest:.0%} of a core at most")
    return figures, notes


def _measure_ends(contenders: list[Contender], load: LoadGenerator, plan: Plan) -> list[Figure]:
    _say("submit to done")
    figures = ends.measure_latency(contenders, load, plan)
    _say("a backlog")
    figures += ends.measure_backlog(contenders, load, plan)
    _say("all at once")
    figures += ends.measure_flow(contenders, load, plan)
    _say("a trickle, and nothing at all")
    return figures + ends.measure_trickle(contenders, load, plan) + ends.measure_idle(contenders, plan)


def _note_imports(contender: Contender) -> str:
    found = fronts.find_heavy_imports(contender)
    return f"{contender.name}: the front imported {', '.join(found) or 'neither celery nor kombu nor PIL'}"


def _status_requests(contender: Contender, load: LoadGenerator, plan: Plan) -> list[str]:
    return [contender.status_request(job_id) for job_id in ends.finish_some(contender, load, plan.finished_jobs)]


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


def _end(*_: object) -> None:
    sys.exit(143)


def main() -> None:
    """Measure, print and write; Ctrl-C and SIGTERM stop everything as well."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, under a minute")
    arguments = parser.parse_args()
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, _end)
    started = time.monotonic()
    try:
        figures, notes = measure(QUICK if arguments.quick else FULL)
    except KeyboardInterrupt:
        sys.exit(130)
    seconds = time.monotonic() - started
    print_table(figures, [*notes, f"{command}  ({seconds:.0f} s; single rounds are in {REPORT})"])
    write_report(REPORT, figures, notes, command, seconds)


if __name__ == "__main__":
    main()
