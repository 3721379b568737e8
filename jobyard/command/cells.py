"""Cells of tables, and their text where nothing has colours."""

from collections.abc import Sequence
from datetime import datetime

from jobyard.command.text import plain

Cell = str | int | datetime | None | Sequence[str]


def plain_cell(cell: Cell) -> str:
    """Give a cell as text that does nothing to a terminal."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone().isoformat(timespec="seconds")
    return plain(cell) if isinstance(cell, str | int) else ", ".join(map(plain, cell))
