"""What a command writes: tables and colour in a terminal, plain lines in a pipe, the server's JSON on request.

Results go to standard output, and everything else to standard error. Text of the server's is made harmless here, so
that commands give it as it is.
"""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobyard.command.text import moment, plain

Cell = str | int | datetime | None | Sequence[str]
STYLES = {
    "succeeded": "green",
    "sent": "green",
    "delivered": "green",
    "running": "cyan",
    "retrying": "yellow",
    "failed": "red",
    "expired": "red",
    "bounced": "red",
    "cancelled": "magenta",
}
_DUMB = ("dumb", "unknown")


class Screen:
    """Is where one run of the command writes to."""

    def __init__(self, *, json_wanted: bool = False, quiet: bool = False, colour: bool = True) -> None:
        for file in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character shows a question mark rather than end the command.
            if isinstance(file, io.TextIOWrapper):
                file.reconfigure(errors="replace")
        self.json_wanted = json_wanted
        self.quiet = quiet
        self._out = _console(sys.stdout, colour=colour)
        self.errors = _console(sys.stderr, colour=colour)

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return self._out.is_terminal

    @property
    def shows_progress(self) -> bool:
        """Whether progress can move: standard error is a terminal, and nobody asked for silence."""
        return self.errors.is_terminal and not self.quiet and os.environ.get("TERM", "") not in _DUMB

    @property
    def console(self) -> Console:
        """Standard output, for what moves there."""
        return self._out

    def document(self, value: object) -> None:
        """Write one JSON document; in ASCII, so that it is the same in any terminal and any locale."""
        print(json.dumps(value, indent=2 if self.is_terminal else None), flush=True)  # noqa: T201 - its purpose

    def document_line(self, value: object) -> None:
        """Write a JSON document in one line."""
        print(json.dumps(value), flush=True)  # noqa: T201 - its purpose

    def error_document(self, value: object) -> None:
        """Write a JSON document about a failure to standard error."""
        print(json.dumps(value), file=sys.stderr, flush=True)  # noqa: T201 - its purpose

    def line(self, text: str) -> None:
        """Write a line of the result."""
        print(plain(text), flush=True)  # noqa: T201 - its purpose

    def note(self, text: str) -> None:
        """Tell the person something that is no result, unless they want silence."""
        if not self.quiet and not self.json_wanted:
            self.errors.print(Text(plain(text)), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Tell the person something that they must know."""
        self.errors.print(Text(plain(text)), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table; in a pipe, its rows alone, with tabs between the cells."""
        if not self.is_terminal:
            for row in rows:
                self.row(row)
            return
        if not rows:
            return
        table = make_table(columns)
        for row in rows:
            table.add_row(*map(rich_cell, row))
        self._out.print(table)

    def list(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table of all that there is; a person is told when that is nothing."""
        self.table(columns, rows)
        if not rows and self.is_terminal:
            self.note("there are none")

    def row(self, row: Sequence[Cell]) -> None:
        """Write a row without its table, with tabs between the cells."""
        print("\t".join(map(_plain_cell, row)), flush=True)  # noqa: T201 - its purpose

    def facts(self, facts: Mapping[str, Cell]) -> None:
        """Write what is known of one thing, a line for each fact; what is not there is left out."""
        known = {name: cell for name, cell in facts.items() if cell is not None and cell not in ("", [], ())}
        width = max(map(len, known), default=0)
        for name, cell in known.items():
            if self.is_terminal:
                value = rich_cell(cell)
                self._out.print(Text(f"{name:<{width}}  ", style="bold").append_text(value), soft_wrap=True)
            else:
                print(f"{name}\t{_plain_cell(cell)}", flush=True)  # noqa: T201 - its purpose


def make_table(columns: Sequence[str]) -> Table:
    """Make a table in the command's looks; ids are never cut, so that they can be copied."""
    table = Table(box=SIMPLE_HEAD, header_style="bold", border_style="dim", pad_edge=False)
    for column in columns:
        whole = column.endswith("id")
        table.add_column(column, no_wrap=whole, overflow="fold", min_width=36 if whole else None)
    return table


def rich_cell(cell: Cell) -> Text:
    """Give a cell as text without markup."""
    if isinstance(cell, datetime):
        return Text(moment(cell))
    text = _plain_cell(cell)
    return Text(text, style=STYLES.get(text, ""))


def _plain_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone().isoformat(timespec="seconds")
    return plain(cell) if isinstance(cell, str | int) else ", ".join(map(plain, cell))


def as_json(value: Any) -> Any:
    """Give what the server said of a model, or of each of several."""
    return [each.raw for each in value] if isinstance(value, list | tuple) else value.raw


def _console(file: TextIO, *, colour: bool) -> Console:
    return Console(file=file, highlight=False, markup=False, emoji=False, no_color=None if colour else True)
