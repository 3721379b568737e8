"""What several commands do alike: follow jobs, do several things side by side, tell what failed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from jobyard import AsyncJobyard, Job, JobFailed
from jobyard.command.bars import Bar
from jobyard.command.run import Run
from jobyard.command.screen import as_json
from jobyard.reading import Model

T = TypeVar("T")
Given = TypeVar("Given")

MOST_AT_ONCE = 4


async def finish(run: Run, client: AsyncJobyard, job: Job, bar: Bar) -> Job:
    """Follow a job to its end, which may be a failure."""

    def see(newer: Job) -> None:
        run.follow(newer)
        bar.job(newer)

    see(job)
    ended = await client.jobs.wait(job, on_change=see)
    see(ended)
    return ended


def judge(run: Run, jobs: Sequence[Job]) -> None:
    """Let the command fail for each job that ended without success."""
    for job in jobs:
        if job.done and not job.succeeded:
            run.later(JobFailed(job))


async def side_by_side(
    run: Run, things: Sequence[Given], work: Callable[[Given], Awaitable[T]], *, at_once: int = MOST_AT_ONCE
) -> list[T]:
    """Do something with each of several things, some at a time, and give what came of those that went well.

    What fails is told when all are through, and lets the command fail; the others go on.
    """
    slots = asyncio.Semaphore(at_once)

    async def one(thing: Given) -> T:
        async with slots:
            return await work(thing)

    outcomes = await asyncio.gather(*map(one, things), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            run.later(outcome)
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]


async def gather_all(things: Sequence[Given], work: Callable[[Given], Awaitable[T]], at_once: int) -> list[T]:
    """Do something with each of several things, some at a time; the first failure ends all."""
    slots = asyncio.Semaphore(at_once)

    async def one(thing: Given) -> T:
        async with slots:
            return await work(thing)

    tasks = [asyncio.ensure_future(one(thing)) for thing in things]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def show_json(run: Run, models: Sequence[Model], asked: int) -> None:
    """Write the JSON of what was asked for: one document for one thing, an array for several."""
    if asked == 1:
        for model in models:
            run.screen.document(model.raw)
    else:
        run.screen.document(as_json(list(models)))
