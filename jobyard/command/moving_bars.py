"""Bars that move in a terminal, by rich."""

from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from jobyard.command.looks import STYLES

_BAR_WIDTH = 24
_LONGEST_NAME = 32
_FREE_COLUMNS = 4


class MovingBars:
    """Shows any number of bars at the bottom of a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn("dots" if console.encoding.lower().startswith("utf") else "line", finished_text=" "),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(_BAR_WIDTH),
            TaskProgressColumn(),
            _DetailColumn("", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=10)

    def start(self) -> None:
        """Begin to show them."""
        self._live.start()

    def stop(self) -> None:
        """Leave them as they are."""
        self._live.stop()

    def add(self, name: str) -> "MovingBar":
        """Add a bar."""
        return MovingBar(self._progress, name)

    def _render(self) -> RenderableType:
        # The `^C` of a Ctrl-C needs room at the right: at the edge it would begin a line, and move all of them.
        return Constrain(self._progress, max(1, self._console.width - _FREE_COLUMNS))


class MovingBar:
    """Is one of them."""

    def __init__(self, progress: Progress, name: str) -> None:
        self._progress = progress
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        self._task = progress.add_task(short, total=None, detail="", style="")

    def show(self, completed: int, total: int | None, detail: str, state: str) -> None:
        """Show how far it is, and a detail in the style of a job's state."""
        style = STYLES.get(state, "")
        self._progress.update(self._task, completed=completed, total=total, detail=detail, style=style)

    def stop(self, *, failed: bool) -> None:
        """Let its clock stand."""
        if failed:
            self._progress.update(self._task, detail="failed", style=STYLES["failed"])
        self._progress.stop_task(self._task)


class _DetailColumn(TextColumn):
    """Shows what a task says of itself, as it is: it may hold words of the server's."""

    def render(self, task: "object") -> Text:
        fields: dict[str, str] = getattr(task, "fields", {})
        return Text(fields.get("detail", ""), style=fields.get("style", ""))
