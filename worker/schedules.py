"""Beat: schedules that become jobs. A tick is a message; the job it makes has an id that only that tick can have.

Two beats, or one that is late or restarted, therefore make one job: the second INSERT meets the first one's id.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import crontab

from shared.ids import id_for
from shared.job_kind import JobKind
from shared.job_queue import NewJob
from shared.models import SYSTEM_OWNER_ID
from shared.settings import Settings, get_settings

TICK_TASK = "jobyard.tick"

SCHEDULES = {
    "files.clean": "clean_files_crontab",
    "jobs.purge": "purge_jobs_crontab",
    "records.purge": "purge_records_crontab",
}
"""Kind to enqueue → the setting that holds its crontab."""


def job_for_tick(kinds: dict[str, JobKind], schedule: str, due_at: datetime) -> NewJob:
    """Make the job of a tick; the same schedule and minute give the same id. Raises `KeyError` for an unknown one."""
    kind = kinds[schedule]
    return NewJob(
        id=id_for(due_at, f"tick:{schedule}:{due_at.isoformat()}"),
        owner_id=SYSTEM_OWNER_ID,
        kind=kind.name,
        queue=kind.queue,
        input={},
        max_attempts=kind.max_attempts,
        tags=[f"schedule:{schedule}"],
    )


class TickScheduler(Scheduler):
    """Sends `(schedule, due_at)` for each crontab of the settings and keeps nothing on disk."""

    def setup_schedule(self) -> None:
        """Take the schedules from the settings."""
        self.data: dict[str, ScheduleEntry] = dict(self._entries(get_settings()))

    def _entries(self, settings: Settings) -> Iterator[tuple[str, ScheduleEntry]]:
        for schedule, setting in SCHEDULES.items():
            minute, hour, day, month, weekday = cast("str", getattr(settings, setting)).split()
            when = crontab(minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday)
            yield schedule, self.Entry(name=schedule, task=TICK_TASK, schedule=when, app=self.app)

    def apply_async(
        self,
        entry: ScheduleEntry,
        producer: Any = None,
        advance: bool = True,  # noqa: FBT001, FBT002 - Celery's own signature
        **options: Any,
    ) -> Any:
        """Send a tick that names the minute it is due at."""
        # Not the time of sending: a beat that is late must name the same minute as one that is not.
        last_run_at, remaining, _ = cast("Any", entry.schedule).remaining_delta(entry.last_run_at)
        due_at: datetime = last_run_at + remaining
        entry.args = (entry.name, due_at.astimezone(UTC).isoformat())
        return super().apply_async(entry, producer=producer, advance=advance, **options)
