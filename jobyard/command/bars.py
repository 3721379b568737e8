"""Progress on standard error: a moving bar for each piece of work in a terminal, else a line for each change."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.filesize import decimal

from jobyard import Job
from jobyard.command.screen import Screen
from jobyard.command.text import plain

if TYPE_CHECKING:
    from jobyard.command.moving_bars import MovingBar, MovingBars


class Bars:
    """Shows any number of pieces of work, each by its bar."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._moving = _moving_bars(screen) if screen.shows_progress else None

    def __enter__(self) -> Self:
        if self._moving:
            self._moving.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving:
            self._moving.stop()

    def add(self, name: str) -> "Bar":
        """Add a piece of work."""
        shown = plain(name)
        return Bar(self._screen, shown, self._moving.add(shown) if self._moving else None)


class Bar:
    """Is the progress of one piece of work: bytes that move, then a job."""

    def __init__(self, screen: Screen, name: str, moving: "MovingBar | None") -> None:
        self._screen = screen
        self._name = name
        self._moving = moving
        self._state = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._moving:
            # What was only given up has not failed: its job may go on.
            self._moving.stop(failed=isinstance(error, Exception))

    def transfer(self, verb: str, completed: int, total: int | None) -> None:
        """Show how many bytes have been moved."""
        if self._moving:
            amount = decimal(completed) if total is None else f"{decimal(completed)} of {decimal(total)}"
            self._moving.show(completed, total, f"{verb} {amount}", "")

    def job(self, job: Job) -> None:
        """Show where a job stands."""
        if self._moving:
            message = f": {plain(job.progress.message)}" if job.progress.message else ""
            done = (1, 1) if job.succeeded else (job.progress.completed or 0, job.progress.total)
            self._moving.show(*done, f"{job.state}{message}", job.state)
        elif job.state != self._state:
            self._state = job.state
            self._screen.note(f"{self._name}: job {job.id} is {job.state}")


def _moving_bars(screen: Screen) -> "MovingBars":
    from jobyard.command import moving_bars  # noqa: PLC0415 - only a terminal needs rich

    return moving_bars.MovingBars(screen.errors)
