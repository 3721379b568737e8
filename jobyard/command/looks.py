"""How things look in a terminal: tables and colours. Only a terminal needs rich; a pipe does without importing it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobyard.command.cells import Cell, plain_cell
from jobyard.command.text import moment

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


def make_console(file: TextIO, *, colour: bool) -> Console:
    """Make a console that takes no word for markup."""
    return Console(file=file, highlight=False, markup=False, emoji=False, no_color=None if colour else True)


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
    text = plain_cell(cell)
    return Text(text, style=STYLES.get(text, ""))


def show_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Write a table."""
    table = make_table(columns)
    for row in rows:
        table.add_row(*map(rich_cell, row))
    console.print(table)


def show_fact(console: Console, name: str, cell: Cell) -> None:
    """Write what is known of one thing."""
    console.print(Text(f"{name}  ", style="bold").append_text(rich_cell(cell)), soft_wrap=True)


def show_line(console: Console, text: str, style: str) -> None:
    """Write a line, which the terminal may wrap."""
    console.print(Text(text), soft_wrap=True, style=style)
