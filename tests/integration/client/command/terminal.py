"""A terminal that a command believes to sit at, and what it has shown there."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress

from tests.integration.client.command.conftest import Shell

ROWS, COLUMNS = 30, 120
_MOST_PRESSES = 50
_LONGEST_SECONDS = 60
_ERASED = b"\x1b[2K"
_STARTER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "jobyard", *sys.argv[1:]])
"""


class Terminal:
    """Is one command at its terminal."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self._process = process
        self._descriptor = descriptor
        self._seen = b""

    @property
    def text(self) -> str:
        return self._seen.decode(errors="replace")

    def read_until(self, words: str) -> str:
        """Wait until these words were shown; gives all that was."""
        while words not in self.text:
            piece = self._read()
            assert piece, f"it ended without {words!r}: {self.text}"
        return self.text

    def type(self, keys: str) -> None:
        """Press keys; \\x03 is Ctrl-C, which the terminal makes a signal of."""
        os.write(self._descriptor, keys.encode())

    def press_until_the_end(self, keys: str) -> int:
        """Press keys, again each time that the bars were drawn anew; gives the exit status."""
        for _ in range(_MOST_PRESSES):
            self.type(keys)
            seen = len(self._seen)
            while _ERASED not in self._seen[seen:]:
                if not self._read():
                    return self._process.wait(60)
        raise AssertionError(f"it does not end: {self.text}")

    def end(self) -> int:
        """Read to the end; gives the exit status."""
        while self._read():
            pass
        return self._process.wait(60)

    def _read(self) -> bytes:
        assert select.select([self._descriptor], [], [], _LONGEST_SECONDS)[0], f"it shows nothing more: {self.text}"
        piece = b""
        # On Linux a terminal that nobody has open any more is an error.
        with suppress(OSError):
            piece = os.read(self._descriptor, 65536)
        self._seen += piece
        return piece


def at_terminal(shell: Shell, *words: str) -> AbstractContextManager[Terminal]:
    """Run a command at a terminal of its own; it is killed at the end if it still runs."""
    return program_at_terminal(shell, sys.executable, "-c", _STARTER, *words)


@contextmanager
def program_at_terminal(shell: Shell, *command: str) -> Generator[Terminal]:
    """Run any program so."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = shell.environment | {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
    with subprocess.Popen[bytes](
        ["setsid", "--ctty", *command] if sys.platform == "linux" else command,
        cwd=shell.directory,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            os.close(ours)
