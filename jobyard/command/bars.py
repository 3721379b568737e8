"""Progress on standard error: a moving bar for each piece of work in a terminal, else a line for each change."""

from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.constrain import Constrain
from rich.filesize import decimal
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from jobyard import Job
from jobyard.command.screen import STYLES, Screen
from jobyard.command.text import plain

_BAR_WIDTH = 24
_LONGEST_NAME = 32
_FREE_COLUMNS = 4


class Bars:
    """Shows any number of pieces of work, each by its bar."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        speaks_unicode = screen.errors.encoding.lower().startswith("utf")
        self._progress = Progress(
            SpinnerColumn("dots" if speaks_unicode else "line", finished_text=" "),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(_BAR_WIDTH),
            TaskProgressColumn(),
            _DetailColumn("", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            TimeElapsedColumn(),
            console=screen.errors,
            expand=True,
        )
        self._live = Live(console=screen.errors, get_renderable=self._render, refresh_per_second=10)

    def __enter__(self) -> Self:
        if self._screen.shows_progress:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def add(self, name: str) -> "Bar":
        """Add a piece of work."""
        return Bar(self._screen, self._progress, plain(name))

    def _render(self) -> RenderableType:
        # The `^C` of a Ctrl-C needs room at the right: at the edge it would begin a line, and move all of them.
        return Constrain(self._progress, max(1, self._screen.errors.width - _FREE_COLUMNS))


class Bar:
    """Is the progress of one piece of work: bytes that move, then a job."""

    def __init__(self, screen: Screen, progress: Progress, name: str) -> None:
        self._screen = screen
        self._progress = progress
        self._name = name
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        self._task = progress.add_task(short, total=None, detail="", style="")
        self._state = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not what was only given up: its job may go on.
        if isinstance(error, Exception):
            self._progress.update(self._task, detail="failed", style="red")
        self._progress.stop_task(self._task)

    def transfer(self, verb: str, completed: int, total: int | None) -> None:
        """Show how many bytes have been moved."""
        amount = decimal(completed) if total is None else f"{decimal(completed)} of {decimal(total)}"
        self._show(completed, total, f"{verb} {amount}")

    def job(self, job: Job) -> None:
        """Show where a job stands."""
        message = f": {plain(job.progress.message)}" if job.progress.message else ""
        completed, total = job.progress.completed or 0, job.progress.total
        if job.succeeded:
            completed, total = 1, 1
        self._show(completed, total, f"{job.state}{message}", STYLES.get(job.state, ""))
        if job.state != self._state:
            self._state = job.state
            if not self._screen.shows_progress:
                self._screen.note(f"{self._name}: job {job.id} is {job.state}")

    def _show(self, completed: int, total: int | None, detail: str, style: str = "") -> None:
        self._progress.update(self._task, completed=completed, total=total, detail=detail, style=style)


class _DetailColumn(TextColumn):
    """Shows what a task says of itself, as it is: it may hold words of the server's."""

    def render(self, task: "object") -> Text:
        fields: dict[str, str] = getattr(task, "fields", {})
        return Text(fields.get("detail", ""), style=fields.get("style", ""))
