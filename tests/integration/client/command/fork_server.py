"""The process that forks for `forks.py`: it has imported the client and the libraries, and none of the commands."""

import json
import os
import signal
import socket
import sys

# A run would import these with its first request and its first option.
import httpcore2  # noqa: F401 # pyright: ignore[reportUnusedImport] - as above
from pydantic import BeforeValidator, Field, TypeAdapter  # noqa: F401 # pyright: ignore[reportUnusedImport] - as above

from jobyard import AsyncJobyard  # noqa: F401 # pyright: ignore[reportUnusedImport] - not yet used here
from jobyard.command import main

LONGEST_REQUEST = 65_536


def serve(listener: socket.socket) -> int:
    """Fork for each request. Only a fork ever returns: with the exit status of its command."""
    while True:
        caller, _ = listener.accept()
        if os.fork() == 0:
            return _answer(caller)
        caller.close()


def _answer(caller: socket.socket) -> int:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, descriptors, _, _ = socket.recv_fds(caller, LONGEST_REQUEST, 3)
    command = os.fork()
    if command == 0:
        caller.close()
        words, directory, environment = json.loads(request)
        return _run(words, directory, environment, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _, status = os.waitpid(command, 0)
    caller.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(words: list[str], directory: str, environment: dict[str, str], descriptors: list[int]) -> int:
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = words
    return main()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        # What every run does at its beginning is imported by doing it.
        sys.argv[1:] = ["--version"]
        main()
        sys.stdout.flush()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.exit(serve(listener))
