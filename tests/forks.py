"""Processes that begin soon: forks of one that has imported the application, which takes most of a start.

Each is a process of its own, with its own environment, which reads its settings and opens its connections itself. It
writes where its test's processes write.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing import reduction
from multiprocessing.context import ForkServerProcess
from typing import Any

_OUTPUTS = (1, 2)
_CONTEXT = multiprocessing.get_context("forkserver")
# Modules alone: nothing of them opens a connection, begins a thread or reads settings before it is asked to.
_CONTEXT.set_forkserver_preload(["pytest", "api.serving", "tests.factories", "worker.jobs"])


class _Output:
    """Is a stream of this process, on its way to the new one: what is captured changes with every test."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[[Any], int], tuple[Any]]:
        return _take, (reduction.DupFd(self._descriptor),)


def _take(sent: Any) -> int:
    return sent.detach()


def fork(environment: Mapping[str, str], run: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """Begin a process that runs a function of a module; its arguments are pickled."""
    outputs = [_Output(descriptor) for descriptor in _OUTPUTS]
    process = _CONTEXT.Process(target=_begin, args=(outputs, dict(environment), run, arguments))
    process.start()
    return process


def _begin(
    outputs: list[int], environment: Mapping[str, str], run: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    for ours, descriptor in zip(_OUTPUTS, outputs, strict=True):
        os.dup2(descriptor, ours)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    run(*arguments)
