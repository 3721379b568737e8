"""Ctrl-C, SIGTERM and SIGHUP: the first asks for a clean stop, the second ends everything at once."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Calls `first` at the first signal and `second` at every later one, in the main thread.

    With `raising` set the first one also raises KeyboardInterrupt, for code that waits for no event of ours.
    """

    def __init__(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        self._first = first
        self._second = second
        self.raising = False
        self.seen = False
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.seen:
            self._second()
            return
        self.seen = True
        self._first()
        if self.raising:
            raise KeyboardInterrupt
