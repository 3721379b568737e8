"""Runs of the command that begin soon: each is a fork of a process that has imported the client and the libraries.

A run is a process of its own, with its own directory, environment and pipes; it imports the command's modules itself
and ends as the interpreter does. Only the import of libraries, most of a run's time, is done once for all.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

_SERVER = "tests.integration.client.command.fork_server"
_LONGEST_SECONDS = 120


class Forks:
    """Is the process that forks, as it is asked to."""

    def __init__(self, address: str) -> None:
        self._address = address

    def run(
        self, words: Sequence[str], directory: Path, environment: Mapping[str, str], stdin: bytes
    ) -> tuple[int, bytes, bytes]:
        """Run the command; gives its exit status, output and errors. Threads may do so side by side."""
        (input_end, our_input), (our_output, output_end), (our_errors, errors_end) = (os.pipe() for _ in range(3))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server, ThreadPoolExecutor(3) as threads:
            server.settimeout(_LONGEST_SECONDS)
            server.connect(self._address)
            request = json.dumps([words, str(directory), dict(environment)]).encode()
            theirs = [input_end, output_end, errors_end]
            socket.send_fds(server, [request], theirs)
            for descriptor in theirs:
                os.close(descriptor)
            threads.submit(_write, our_input, stdin)
            output, errors = (threads.submit(_read, descriptor) for descriptor in (our_output, our_errors))
            return int(server.recv(16)), output.result(), errors.result()


@contextmanager
def open_forks(directory: Path, environment: Mapping[str, str]) -> Generator[Forks]:
    """Run the process that forks."""
    address = str(directory / "forks")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)
        descriptor = listener.fileno()
        with subprocess.Popen(
            [sys.executable, "-m", _SERVER, str(descriptor)],
            env=environment,
            pass_fds=[descriptor],
            # Its streams become those of the runs, and must be of their kind.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield Forks(address)
            finally:
                process.kill()


def _write(descriptor: int, content: bytes) -> None:
    # A command need not read what it is given.
    with suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(content)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb") as pipe:
        return pipe.read()
