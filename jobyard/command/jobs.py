"""`jobyard jobs ls|show|watch|cancel|retry|run`."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from jobyard import AsyncJobyard, Job
from jobyard.command.bars import Bars
from jobyard.command.cells import Cell
from jobyard.command.inputs import text_of, usage
from jobyard.command.lists import All, Limit, collect, limit_of
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.work import finish, judge, show_json, side_by_side

app = typer.Typer(name="jobs", no_args_is_help=True, help="Jobs.")

Tag = Annotated[list[str] | None, typer.Option(help="With this tag; all of them when repeated.")]
Kind = Annotated[list[str] | None, typer.Option(help="Of this kind; any of them when repeated.")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
_Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of jobs.")]
_COLUMNS = ("id", "kind", "state", "progress", "created")


@command(app, "ls")
def list_jobs(
    run: Run,
    *,
    state: Annotated[list[str] | None, typer.Option(help="In this state; any of them when repeated.")] = None,
    kind: Kind = None,
    tag: Tag = None,
    limit: Limit = 50,
    everything: All = False,
) -> None:
    """List jobs, newest first."""

    async def read(client: AsyncJobyard) -> list[Job]:
        most = limit_of(limit, everything=everything)
        return await collect(client.jobs.list(state=state, kind=kind, tag=tag, limit=most))

    jobs = run.perform(read)
    if run.screen.json_wanted:
        run.screen.document([job.raw for job in jobs])
    else:
        run.screen.list(_COLUMNS, [row_of(job) for job in jobs])


@command(app, "show")
def show_job(run: Run, job_id: _Id) -> None:
    """Show a job."""

    async def read(client: AsyncJobyard) -> Job:
        return await client.jobs.get(job_id)

    _show(run, run.perform(read))


@command(app, "watch")
def watch_job(run: Run, job_id: _Id) -> None:
    """Follow a job until it ends; with --json each change is a line."""

    async def follow(client: AsyncJobyard) -> Job:
        job = await client.jobs.get(job_id)
        with Bars(run.screen) as bars, bars.add(job.kind) as bar:

            def see(newer: Job) -> None:
                run.follow(newer)
                bar.job(newer)
                if run.screen.json_wanted:
                    run.screen.document_line(newer.raw)
                elif not run.screen.is_terminal:
                    run.screen.row(row_of(newer))

            see(job)
            return await client.jobs.wait(job, on_change=see)

    job = run.perform(follow)
    if run.screen.is_terminal and not run.screen.json_wanted:
        _show(run, job)
    judge(run, [job])


@command(app, "cancel")
def cancel_jobs(run: Run, ids: _Ids) -> None:
    """Cancel jobs: waiting ones at once, running ones soon."""
    _change(run, ids, lambda client, job_id: client.jobs.cancel(job_id))


@command(app, "retry")
def retry_jobs(run: Run, ids: _Ids) -> None:
    """Enqueue new jobs like those that failed, expired or were cancelled."""
    _change(run, ids, lambda client, job_id: client.jobs.retry(job_id))


@command(app, "run")
def run_job(
    run: Run,
    *,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Such as demo.countdown.")],
    job_input: Annotated[
        str, typer.Option("--input", metavar="JSON", help="What it is to work on; @file reads it, - standard input.")
    ] = "{}",
    tag: Annotated[list[str] | None, typer.Option(help="A word to find it by.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
) -> None:
    """Enqueue a job of any kind."""
    given = _read_input(job_input)

    async def enqueue(client: AsyncJobyard) -> Job:
        job = await client.jobs.create(kind, given, tags=tag or (), priority=priority)
        if not wait:
            return job
        with Bars(run.screen) as bars, bars.add(job.kind) as bar:
            return await finish(run, client, job, bar)

    job = run.perform(enqueue)
    show_jobs(run, [job], asked=1)
    judge(run, [job])


def row_of(job: Job) -> tuple[Cell, ...]:
    """Give a job as the row of a table."""
    return (job.id, job.kind, job.state, progress_of(job), job.created_at)


def progress_of(job: Job) -> str:
    """Say in a few words how far a job is, or why it ended."""
    if job.error is not None:
        return f"{job.error.code}: {job.error.detail}"
    percent = "" if job.progress.percent is None else f"{job.progress.percent:.0f} %"
    return " ".join(filter(None, (percent, job.progress.message)))


def show_jobs(run: Run, jobs: Sequence[Job], *, asked: int) -> None:
    """Show jobs that were just enqueued or changed."""
    if run.screen.json_wanted:
        show_json(run, jobs, asked)
    else:
        run.screen.table(_COLUMNS, [row_of(job) for job in jobs])


def _change(run: Run, ids: Sequence[str], change: Callable[[AsyncJobyard, str], Awaitable[Job]]) -> None:
    async def change_all(client: AsyncJobyard) -> list[Job]:
        return await side_by_side(run, ids, lambda job_id: change(client, job_id))

    show_jobs(run, run.perform(change_all), asked=len(ids))


def _read_input(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text_of(text))
    except ValueError as error:
        raise usage(f"--input is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise usage("--input must be a JSON object")
    return given


def _show(run: Run, job: Job) -> None:
    if run.screen.json_wanted:
        run.screen.document(job.raw)
        return
    error = job.error or job.last_error
    run.screen.facts(
        {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "progress": progress_of(job) if job.error is None else None,
            "attempt": f"{job.attempt} of {job.max_attempts}",
            "input": json.dumps(job.raw["input"]),
            "result": json.dumps(job.raw["result"]) if job.result is not None else None,
            "error": f"{error.code}: {error.detail}" if error else None,
            "next attempt": job.next_attempt_at,
            "tags": list(job.tags),
            "retried from": job.retried_from,
            "created": job.created_at,
            "started": job.started_at,
            "finished": job.finished_at,
            "forgotten": job.purge_at,
        }
    )
