"""The guide's design and Jobyard as wholes: their fronts, and what a job costs from end to end."""

import sys
from contextlib import ExitStack
from pathlib import Path

from ops.leash import Leash
from tests.bench import ends, fronts
from tests.bench.contender import Contender
from tests.bench.figures import Figure
from tests.bench.jobyard_side import Jobyard
from tests.bench.load import LoadGenerator
from tests.bench.naive_side import Naive
from tests.bench.plan import Plan
from tests.bench.report import Part


def measure_beside_guide(directory: Path, plan: Plan) -> Part:
    """Run all measurements of both."""
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        contenders: list[Contender] = []
        for name, made in (("guide", Naive), ("jobyard", Jobyard)):
            contenders.append(made(directory / name, plan, leash, stack))
        load = stack.enter_context(LoadGenerator())
        notes = [_note_imports(contender) for contender in contenders]
        say("fronts: start")
        figures = fronts.measure_starts(contenders, plan)
        for contender in contenders:
            contender.sign_in()
        say("fronts: accept jobs, while nothing runs them")
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
        say("fronts: tell the status of finished jobs")
        figures += fronts.measure_storms(
            fronts.STATUS, contenders, load, plan, lambda contender: _status_requests(contender, load, plan),
            target_cpu="target ≤ 1.2",
        )  # fmt: skip
        figures += _measure_ends(contenders, load, plan)
        figures += fronts.measure_memory(contenders)
        notes.append(f"* the guide: asked every {ends.CLIENT_POLL_SECONDS * 1000:.0f} ms; Jobyard: Prefer: wait")
        notes.append(f"the load generator needed {load.busiest:.0%} of a core at most")
    title = "The guide's design and Jobyard, side by side (medians of interleaved rounds)"
    return Part(title=title, figures=figures, rivals=["guide"], notes=notes)


def say(what: str) -> None:
    """Tell what is being measured."""
    print(f"bench: {what}", file=sys.stderr, flush=True)


def _measure_ends(contenders: list[Contender], load: LoadGenerator, plan: Plan) -> list[Figure]:
    say("submit to done")
    figures = ends.measure_latency(contenders, load, plan)
    say("a backlog")
    figures += ends.measure_backlog(contenders, load, plan)
    say("all at once")
    figures += ends.measure_flow(contenders, load, plan)
    say("a trickle, and nothing at all")
    return figures + ends.measure_trickle(contenders, load, plan) + ends.measure_idle(contenders, plan)


def _note_imports(contender: Contender) -> str:
    found = fronts.find_heavy_imports(contender)
    return f"{contender.name}: the front imported {', '.join(found) or 'neither celery nor kombu nor PIL'}"


def _status_requests(contender: Contender, load: LoadGenerator, plan: Plan) -> list[str]:
    return [contender.status_request(job_id) for job_id in ends.finish_some(contender, load, plan.finished_jobs)]
