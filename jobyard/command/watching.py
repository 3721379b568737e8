"""`jobyard watch`: all jobs of the account, as they change."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

import typer
from rich.live import Live
from rich.table import Table

from jobyard import AsyncJobyard, Job
from jobyard.command.jobs import Kind, Tag, progress_of, row_of
from jobyard.command.looks import make_table, rich_cell
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.text import distance

app = typer.Typer()

_REDRAW_SECONDS = 1.0
_FEWEST_ROWS = 5
_FRAME_ROWS = 4


@command(app)
def watch(run: Run, tag: Tag = None, kind: Kind = None) -> None:
    """Watch all your jobs until Ctrl-C: a live table, or in a pipe a line for each change."""

    async def follow(client: AsyncJobyard) -> None:
        changes = client.jobs.watch(tags=tag or (), kinds=kind or ())
        async with aclosing(changes):
            if run.screen.is_terminal and not run.screen.json_wanted:
                await _show_table(run, changes)
                return
            async for job in changes:
                if run.screen.json_wanted:
                    run.screen.document_line(job.raw)
                else:
                    run.screen.row(row_of(job))

    run.perform(follow)


class Board:
    """Keeps the jobs that a table shows: those that live, and of those that have ended the newest."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def take(self, job: Job) -> None:
        """Take a change in."""
        self._jobs.pop(job.id, None)
        self._jobs[job.id] = job

    def rows(self, most: int) -> list[Job]:
        """Give the jobs to show, newest change first, and forget ended ones that there is no room for."""
        newest = list(reversed(self._jobs.values()))
        shown = [*(job for job in newest if not job.done), *(job for job in newest if job.done)]
        for job in shown[most:]:
            if job.done:
                del self._jobs[job.id]
        return shown[:most]

    @property
    def live(self) -> int:
        """How many jobs have not ended."""
        return sum(not job.done for job in self._jobs.values())


async def _show_table(run: Run, changes: AsyncGenerator[Job, None]) -> None:
    board = Board()

    def draw() -> Table:
        room = max(_FEWEST_ROWS, run.screen.console.height - _FRAME_ROWS)
        return _draw(board, room)

    with Live(get_renderable=draw, console=run.screen.console, auto_refresh=False, vertical_overflow="crop") as live:

        async def redraw() -> None:
            # Ages grow without any change.
            while True:
                live.refresh()
                await asyncio.sleep(_REDRAW_SECONDS)

        clock = asyncio.create_task(redraw())
        try:
            async for job in changes:
                board.take(job)
                live.refresh()
        finally:
            clock.cancel()


def _draw(board: Board, room: int) -> Table:
    now = datetime.now(UTC)
    table = make_table(("id", "kind", "state", "progress", "created"))
    for job in board.rows(room):
        age = distance(job.created_at, now) if job.created_at else ""
        table.add_row(*map(rich_cell, (job.id, job.kind, job.state, progress_of(job), age)))
    table.caption = f"{board.live} live; Ctrl-C ends"
    return table
