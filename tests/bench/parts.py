"""The parts of a run beside the guide's: each starts what it needs, measures, and stops it."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ops.leash import Leash
from ops.paths import VAR
from tests.bench.beside_guide import measure_beside_guide, say
from tests.bench.cleaning import measure_cleaning
from tests.bench.dispatch import ALONE, WITH_STANDBY, DispatcherCrew, measure_dispatch
from tests.bench.downloads import measure_downloads
from tests.bench.drain import measure_drain
from tests.bench.fairness import measure_fairness
from tests.bench.figures import Samples
from tests.bench.images import measure_images
from tests.bench.ledger_scale import Cost, measure_scale
from tests.bench.mail import measure_mail
from tests.bench.plan import Plan
from tests.bench.postgres_crews import JobyardCrew, ProcrastinateCrew
from tests.bench.redis_crews import DramatiqCrew, GuideCrew
from tests.bench.report import Part
from tests.bench.scale_report import print_costs, write_plans
from tests.bench.streams import measure_streams
from tests.bench.uploads import measure_uploads

MeasurePart = Callable[[Path, Plan], Part]

PLANS = VAR / "bench" / "plans.txt"


def measure_rivals(directory: Path, plan: Plan) -> Part:
    """Drain a full queue with each library."""
    say("a full queue: Jobyard and other libraries")
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        kinds = (GuideCrew, DramatiqCrew, ProcrastinateCrew, JobyardCrew)
        crews = [crew(directory / crew.name, plan.worker_concurrency, leash, stack) for crew in kinds]
        figures = measure_drain(crews, plan)
    title = f"{plan.drain_jobs:,} no-ops, {plan.worker_concurrency} slots (medians of interleaved rounds)"
    note = "dramatiq keeps no result, procrastinate no result but the state; neither tells a client anything"
    return Part(title=title, figures=figures, rivals=["guide", "dramatiq", "procrastinate"], notes=[note])


def measure_dispatcher(directory: Path, plan: Plan) -> Part:
    """Let the dispatcher work without a worker."""
    say("the dispatcher alone, and with a second")
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        figures = measure_dispatch(DispatcherCrew(directory, plan.worker_concurrency, leash, stack), plan)
    return Part(title="The dispatcher", figures=figures, rivals=[ALONE], subject=WITH_STANDBY)


def measure_second_owner(directory: Path, plan: Plan) -> Part:
    """Let a second owner come late."""
    say("fairness: a second owner behind a full queue")
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        guide = GuideCrew(directory / "guide", plan.worker_concurrency, leash, stack)
        jobyard = JobyardCrew(directory / "jobyard", plan.worker_concurrency, leash, stack)
        figures = measure_fairness(guide, jobyard, plan)
    note = f"the guide's: measured behind {plan.waiting_jobs_of_the_rival:,} jobs and scaled, it is first in, first out"
    return Part(title="Fairness", figures=figures, rivals=["guide"], notes=[note])


def measure_flat_cost(directory: Path, plan: Plan) -> Part:
    """Let more and more jobs wait; prints a table of its own, and writes the plans to a file."""
    costs: list[Cost] = []
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        crew = JobyardCrew(directory, plan.worker_concurrency, leash, stack)
        for rows in plan.scale_rows:
            for owners in plan.scale_owners:
                if owners <= rows:
                    say(f"the ledger with {rows:,} waiting jobs of {owners:,} owners")
                    costs += measure_scale(crew.settings(), rows, owners)
    print_costs(costs)
    write_plans(costs, PLANS)
    samples = Samples("the dispatcher's statements")
    least, most = plan.scale_rows[0], plan.scale_rows[-1]
    for cost in costs:
        if cost.owners in {plan.scale_owners[0], plan.scale_owners[1]} and cost.rows in {least, most}:
            name = f"{cost.statement}, {cost.owners:,} owners"
            samples.add(f"{cost.rows:,}", name, cost.milliseconds, "ms")
    title = "Cost by waiting rows"
    note = f"all plans, with what they really read, are in {PLANS}"
    return Part(title=title, figures=samples.figures(), rivals=[f"{least:,}"], subject=f"{most:,}", notes=[note])


PARTS: dict[str, MeasurePart] = {
    "guide": measure_beside_guide,
    "rivals": measure_rivals,
    "dispatcher": measure_dispatcher,
    "fairness": measure_second_owner,
    "scale": measure_flat_cost,
    "images": measure_images,
    "uploads": measure_uploads,
    "downloads": measure_downloads,
    "cleaning": measure_cleaning,
    "mail": measure_mail,
    "streams": measure_streams,
}
