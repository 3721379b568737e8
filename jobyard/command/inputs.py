"""What a command is given to send: files by their paths, what comes on standard input, stored files by their ids."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from jobyard.command.exits import CommandFailed, ExitStatus

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Input:
    """Is one of them, as it was given (`text`); `content` is None for a stored file, whose id is the text."""

    text: str
    name: str
    content: Path | BinaryIO | None

    def required(self) -> Path | BinaryIO:
        """Give what is to be sent; raises `CommandFailed` for a stored file."""
        if self.content is None:
            raise usage(f"{self.text} is stored already")
        return self.content


def read_inputs(texts: Sequence[str], *, stored: bool = False) -> list[Input]:
    """Tell what each argument means; `stored` says whether it may be the id of a stored file.

    Raises `CommandFailed` before anything is sent when a file is not there.
    """
    if texts.count(STDIN) > 1:
        raise usage("standard input can be read once only")
    return [_read(text, stored=stored) for text in texts]


def usage(detail: str) -> CommandFailed:
    """Make the failure of a command that was used in a wrong way."""
    return CommandFailed("Wrong use", detail, code="usage", status=ExitStatus.USAGE)


def _read(text: str, *, stored: bool) -> Input:
    if text == STDIN:
        if sys.stdin.isatty():
            raise usage("standard input is a terminal: nothing comes from there")
        return Input(text, "stdin", sys.stdin.buffer)
    path = Path(text)
    if path.is_dir():
        raise usage(f"{text} is a directory")
    if path.exists():
        return Input(text, path.name, path)
    if stored and _is_id(text):
        return Input(text, text, None)
    raise usage(f"there is no file {text}")


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def text_of(given: str) -> str:
    """Give a text: as it is given, of the file that stands behind an `@`, or of standard input for `-`."""
    if given == STDIN:
        return sys.stdin.read()
    return Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
