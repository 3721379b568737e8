"""What the demonstration shows: steps that tick themselves off and live progress; plain lines when nobody watches."""

import io
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

ReportProgress = Callable[[int, int | None, str | None], None]


class Screen:
    """Writes to standard output, in colour and with moving parts only in a terminal."""

    def __init__(self) -> None:
        # A terminal that does not speak UTF-8 shows a question mark rather than end the demonstration.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        self._console = Console(highlight=False)
        speaks_unicode = self._console.encoding.lower().startswith("utf")
        self._mark = "✓" if speaks_unicode else "+"
        self._spinner = "dots" if speaks_unicode else "line"

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._console.print(f"\n[bold]{escape(text)}[/]")

    @contextmanager
    def step(self, doing: str) -> Generator[list[str]]:
        """Show that something is being done, and at the end the line that the caller has put into the list."""
        done: list[str] = []
        began = time.monotonic()
        with self._console.status(escape(doing), spinner=self._spinner):
            yield done
        self.tick(done[-1] if done else doing, time.monotonic() - began)

    @contextmanager
    def progress(self, names: Sequence[str]) -> Generator[list[ReportProgress]]:
        """Show one bar for each name, and give what moves it: completed, total (None: not known yet), message."""
        bars = Progress(
            SpinnerColumn(self._spinner, finished_text=f"[green]{self._mark}[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[message]}[/]"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        with bars:
            tasks = [bars.add_task(escape(name), total=None, message="") for name in names]
            yield [_mover(bars, task) for task in tasks]

    def tick(self, text: str, seconds: float | None = None) -> None:
        """Write a line about something that went well."""
        took = "" if seconds is None else f"  [dim]{seconds:.1f} s[/]"
        self._console.print(f"[green]{self._mark}[/] {escape(text)}{took}", soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table; columns whose name ends in a blank are flush right."""
        table = Table(box=SIMPLE_HEAD, header_style="bold", border_style="dim")
        for column in columns:
            table.add_column(column.strip(), justify="right" if column.endswith(" ") else "left", overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print(table)

    def places(self, places: Sequence[tuple[str, str | Path]]) -> None:
        """Write where things are, each in one line however long, so that it can be copied."""
        width = max(len(name) for name, _ in places)
        for name, place in places:
            self._console.print(f"[bold]{name:<{width}}[/]  {escape(str(place))}", soft_wrap=True)


def _mover(bars: Progress, task: TaskID) -> ReportProgress:
    def move(completed: int, total: int | None, message: str | None) -> None:
        bars.update(task, completed=completed, total=total, message=escape(message or ""))

    return move
