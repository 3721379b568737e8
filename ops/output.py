"""Where the programs' output goes: to files, or to the terminal with their names before each line."""

import os
import threading
import zlib
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

_COLOURS = (36, 33, 32, 35, 34, 31, 96, 93, 92, 95, 94)
_TAIL_LINES = 15
_NAME_WIDTH = 10
# A stray descendant in a session of its own may keep a pipe open for ever.
_PATIENCE_SECONDS = 0.5


class Output(Protocol):
    """Takes the output of programs."""

    def open(self, name: str) -> IO[bytes]:
        """Return what becomes a program's standard output and error; the caller closes it after the start."""
        ...

    def tail(self, name: str) -> str:
        """Return the last lines of a program that has ended."""
        ...

    def flush(self) -> None:
        """Wait until all that ended programs have written is shown."""
        ...


class LogFiles:
    """One file per program, begun anew with every run and kept over restarts within it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._begun: set[str] = set()

    def open(self, name: str) -> IO[bytes]:
        """Open the program's log file."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        if name not in self._begun:
            self._begun.add(name)
            path.unlink(missing_ok=True)
        return path.open("ab")

    def tail(self, name: str) -> str:
        """Return the last lines of the program's log file."""
        with suppress(OSError):
            return "\n".join(self._path(name).read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        return ""

    def flush(self) -> None:
        """Return at once: the programs themselves write the files."""

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.log"


class Terminal:
    """Lines of all programs on one stream, each whole and with its program's name."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._colours = stream.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()
        self._copiers: dict[str, threading.Thread] = {}
        self._last: dict[str, deque[bytes]] = {}

    def open(self, name: str) -> IO[bytes]:
        """Open a pipe whose lines are shown until its last writer has closed it."""
        read_end, write_end = os.pipe()
        self._last[name] = deque(maxlen=_TAIL_LINES)
        copier = threading.Thread(target=self._copy, args=(name, read_end), daemon=True, name=f"output of {name}")
        self._copiers[name] = copier
        copier.start()
        return os.fdopen(write_end, "wb")

    def tail(self, name: str) -> str:
        """Return the last lines again: those of the other programs have come between."""
        self._copiers[name].join(_PATIENCE_SECONDS)
        return b"\n".join(self._last[name]).decode(errors="replace")

    def flush(self) -> None:
        """Wait until all that ended programs have written is shown."""
        for copier in self._copiers.values():
            copier.join(_PATIENCE_SECONDS)

    def _copy(self, name: str, read_end: int) -> None:
        prefix = self._prefix(name)
        with os.fdopen(read_end, "rb") as lines:
            for line in lines:
                text = line.rstrip(b"\r\n")
                self._last[name].append(text)
                # A closed terminal must not stop the programs' output from being read.
                with self._lock, suppress(OSError, ValueError):
                    self._stream.write(prefix + text + b"\n")
                    self._stream.flush()

    def _prefix(self, name: str) -> bytes:
        text = f"{name:<{_NAME_WIDTH}} | "
        if self._colours:
            text = f"\033[{_COLOURS[zlib.crc32(name.encode()) % len(_COLOURS)]}m{text}\033[0m"
        return text.encode()
