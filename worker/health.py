"""A worker's health on its own machine: a small file that its parent keeps writing, and the check that reads it.

`python -m worker.health` prints one line about the workers of this machine and exits with 0 or 1.
"""

import logging
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from shared.settings import Settings, get_settings

logger = logging.getLogger(__name__)

_FORGOTTEN_AFTER = timedelta(hours=1)


class HealthReport(BaseModel):
    """Is what a worker says of itself; `consuming` is null when nobody could tell, for want of the database."""

    name: str
    pid: int
    slots: int
    busy: int
    consuming: bool | None
    database: Literal["ok", "unavailable"]
    received_at: datetime | None
    seen_at: datetime
    silence_seconds: float

    def trouble(self, now: datetime) -> str | None:
        """Say what is wrong; None when all is well. A database that is away is no fault of the worker's."""
        age = (now - self.seen_at).total_seconds()
        if age > self.silence_seconds:
            return f"has said nothing for {age:.0f} s"
        if self.consuming is False:
            return "takes no jobs, though slots are free and jobs wait"
        return None

    def describe(self, now: datetime) -> str:
        """Say in a few words how the worker is."""
        said = self.trouble(now) or f"{self.busy} of {self.slots} slots busy"
        away = ", the database is unavailable" if self.database == "unavailable" else ""
        return f"{self.name} (process {self.pid}): {said}{away}"


class HealthFile:
    """Is the file of one worker. A disk that cannot be written to is logged, once, and otherwise borne."""

    def __init__(self, settings: Settings, pid: int) -> None:
        named = settings.worker_health_file
        # Several workers of one machine may have one name, but never one process id.
        self._path = named.with_name(f"{named.stem}-{pid}{named.suffix}")
        self._failed = False

    def write(self, report: HealthReport) -> None:
        """Put a report in place of the last one; nobody ever reads half of it."""
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(report.model_dump_json() + "\n", encoding="utf-8")
            new.replace(self._path)
        except OSError as error:
            if not self._failed:
                logger.warning("the health file cannot be written: %s", error)
            self._failed = True
        else:
            self._failed = False

    def remove(self) -> None:
        """Remove the file."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("the health file cannot be removed: %s", error)


def sweep(settings: Settings) -> None:
    """Remove the files of workers that were killed."""
    for path, report in _reports(settings):
        forgotten = report is None or datetime.now(UTC) - report.seen_at > _FORGOTTEN_AFTER
        if forgotten or (report is not None and not _lives(report.pid)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("an old health file cannot be removed: %s", error)


def check(settings: Settings) -> tuple[bool, str]:
    """Judge this machine's workers; gives whether all are well, and one line that says so."""
    now = datetime.now(UTC)
    found = [report for _, report in _reports(settings) if report is not None and _lives(report.pid)]
    if not found:
        return False, f"unhealthy: no worker reports beside {settings.worker_health_file}"
    well = not any(report.trouble(now) for report in found)
    said = "; ".join(report.describe(now) for report in found)
    return well, f"{'healthy' if well else 'unhealthy'}: {said}"


def _reports(settings: Settings) -> Iterator[tuple[Path, HealthReport | None]]:
    named = settings.worker_health_file
    for path in sorted(named.parent.glob(f"{named.stem}-*{named.suffix}")):
        try:
            yield path, HealthReport.model_validate_json(path.read_bytes())
        except ValidationError:
            yield path, None
        except FileNotFoundError:
            # Its worker has just stopped.
            continue


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> int:
    """Print the line; returns the exit status."""
    well, line = check(get_settings())
    print(line)  # noqa: T201 - Docker keeps what a health check prints
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
