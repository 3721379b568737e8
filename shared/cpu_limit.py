"""A limit on the CPU time of a piece of work in the main thread."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

_T = TypeVar("_T")
# It rings again, should its exception get lost where Python ignores exceptions (a finaliser).
_AGAIN_SECONDS = 0.05


class CpuTimeUp(Exception):
    """Is raised by `within` when the work took too long."""


class _Ring(BaseException):
    """Breaks into the work; nothing that catches an `Exception` catches it."""


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """Do the work; raises `CpuTimeUp` after so many seconds of CPU time of this process.

    CPU time, as a busy machine makes no work worse. A call into C is broken into only when it returns.
    """
    before = signal.signal(signal.SIGPROF, _ring)
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN_SECONDS)
    try:
        return _limited(work)
    except _Ring:
        raise CpuTimeUp from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _limited(work: Callable[[], _T]) -> _T:
    return work()


def _ring(_: int, frame: FrameType | None) -> None:
    # It may ring late, when the work is done and its caller goes on: then there is nothing left to break into.
    while frame is not None:
        if frame.f_code is _limited.__code__:
            raise _Ring
        frame = frame.f_back
