"""What a command writes: tables and colour in a terminal, plain lines in a pipe, the server's JSON on request.

Results go to standard output, and everything else to standard error. Text of the server's is made harmless here, so
that commands give it as it is.
"""

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from jobyard.command.cells import Cell, plain_cell
from jobyard.command.text import plain

if TYPE_CHECKING:
    from rich.console import Console

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
        self._colour = colour

    @cached_property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return _may_be_terminal(sys.stdout) and self.console.is_terminal

    @property
    def shows_progress(self) -> bool:
        """Whether progress can move: standard error is a terminal, and nobody asked for silence."""
        return self._tells_terminal and not self.quiet and os.environ.get("TERM", "") not in _DUMB

    @cached_property
    def console(self) -> "Console":
        """Standard output, for what moves there."""
        return _console(sys.stdout, colour=self._colour)

    @cached_property
    def errors(self) -> "Console":
        """Standard error, for what moves there."""
        return _console(sys.stderr, colour=self._colour)

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
            self._tell(text)

    def warn(self, text: str) -> None:
        """Tell the person something that they must know."""
        self._tell(text)

    def fail(self, text: str) -> None:
        """Tell the person what went wrong."""
        self._tell(text, "red")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table; in a pipe, its rows alone, with tabs between the cells."""
        if not self.is_terminal:
            for row in rows:
                self.row(row)
        elif rows:
            from jobyard.command.looks import show_table  # noqa: PLC0415 - only a terminal needs rich

            show_table(self.console, columns, rows)

    def list(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table of all that there is; a person is told when that is nothing."""
        self.table(columns, rows)
        if not rows and self.is_terminal:
            self.note("there are none")

    def row(self, row: Sequence[Cell]) -> None:
        """Write a row without its table, with tabs between the cells."""
        print("\t".join(map(plain_cell, row)), flush=True)  # noqa: T201 - its purpose

    def facts(self, facts: Mapping[str, Cell]) -> None:
        """Write what is known of one thing, a line for each fact; what is not there is left out."""
        known = {name: cell for name, cell in facts.items() if cell is not None and cell not in ("", [], ())}
        if not self.is_terminal:
            for name, cell in known.items():
                print(f"{name}\t{plain_cell(cell)}", flush=True)  # noqa: T201 - its purpose
            return
        from jobyard.command.looks import show_fact  # noqa: PLC0415 - as above

        width = max(map(len, known), default=0)
        for name, cell in known.items():
            show_fact(self.console, f"{name:<{width}}", cell)

    @cached_property
    def _tells_terminal(self) -> bool:
        return _may_be_terminal(sys.stderr) and self.errors.is_terminal

    def _tell(self, text: str, style: str = "") -> None:
        if not self._tells_terminal:
            print(plain(text), file=sys.stderr, flush=True)  # noqa: T201 - its purpose
            return
        from jobyard.command.looks import show_line  # noqa: PLC0415 - as above

        show_line(self.errors, plain(text), style)


def as_json(value: Any) -> Any:
    """Give what the server said of a model, or of each of several."""
    return [each.raw for each in value] if isinstance(value, list | tuple) else value.raw


def _may_be_terminal(file: TextIO) -> bool:
    # What rich goes by; it has the last word, where it has any.
    return file.isatty() or any(os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE"))


def _console(file: TextIO, *, colour: bool) -> "Console":
    from jobyard.command.looks import make_console  # noqa: PLC0415 - as above

    return make_console(file, colour=colour)
