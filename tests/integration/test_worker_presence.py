"""What a worker says of itself, when the database or the disk is away, and how the check judges files."""

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from ops.ports import free_port
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from worker.health import HealthFile, HealthReport, check, sweep
from worker.presence import Occupation, Presence

IDLE = Occupation(slots=2, busy=0, queues=["default"])
BUSY = Occupation(slots=2, busy=2, queues=["default"])
ELSEWHERE = Occupation(slots=2, busy=0, queues=["images"])

Database = psycopg.Connection


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"worker_health_file": tmp_path / "health" / "worker.json"})


def report(**changes: object) -> HealthReport:
    values = {
        "name": "celery@here", "pid": os.getpid(), "slots": 2, "busy": 1, "consuming": True, "database": "ok",
        "received_at": None, "seen_at": datetime.now(UTC), "silence_seconds": 45.0,
    }  # fmt: skip
    return HealthReport.model_validate(values | changes)


def let_a_job_wait(database: Database, kinds: dict[str, JobKind], owner: Owner, minutes: int) -> None:
    factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id))
    database.execute(
        "UPDATE jobs SET dispatch_seq = 1, dispatched_at = clock_timestamp() - make_interval(mins => %s)", (minutes,)
    )


def silent_presence(settings: Settings, occupation: Occupation, monkeypatch: pytest.MonkeyPatch) -> Presence:
    """Make the presence of a worker that has lived for long and received nothing."""
    presence = Presence(settings, "celery@here", lambda: occupation)
    monkeypatch.setattr(presence, "_began_at", float("-inf"))
    return presence


def consuming(database: Database) -> bool:
    row = database.execute("SELECT consuming FROM workers").fetchone()
    assert row is not None
    return row[0]


def test_a_job_that_waits_for_a_free_and_silent_worker_is_told_until_nothing_waits(
    database: Database, settings: Settings, kinds: dict[str, JobKind], owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    presence = silent_presence(settings, IDLE, monkeypatch)
    let_a_job_wait(database, kinds, owner, minutes=0)
    presence.say()
    assert consuming(database)
    database.execute("UPDATE jobs SET dispatched_at = dispatched_at - interval '1 minute'")
    presence.say()
    assert not consuming(database)
    # Sent again because it waited for too long: no improvement.
    database.execute("UPDATE jobs SET dispatched_at = clock_timestamp()")
    presence.say()
    assert not consuming(database)
    assert check(settings)[0] is False
    presence.note_received()
    presence.say()
    assert consuming(database)
    assert check(settings)[0] is True


@pytest.mark.parametrize("occupation", [BUSY, ELSEWHERE])
def test_a_worker_without_a_free_slot_or_with_other_queues_is_not_blamed(
    database: Database, settings: Settings, kinds: dict[str, JobKind], owner: Owner, monkeypatch: pytest.MonkeyPatch,
    occupation: Occupation,
) -> None:  # fmt: skip
    let_a_job_wait(database, kinds, owner, minutes=5)
    silent_presence(settings, occupation, monkeypatch).say()
    assert consuming(database)


def test_a_worker_that_stops_is_not_blamed(
    database: Database, settings: Settings, kinds: dict[str, JobKind], owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_a_job_wait(database, kinds, owner, minutes=5)
    presence = silent_presence(settings, IDLE, monkeypatch)
    presence.announce_stop()
    presence.say()
    assert consuming(database)


def test_without_the_database_nothing_is_judged_and_the_file_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = f"postgresql://jobyard@127.0.0.1:{free_port()}/jobyard"
    presence = silent_presence(settings.model_copy(update={"database_url": nowhere}), IDLE, monkeypatch)
    presence.say()
    presence.say()
    assert check(settings) == (
        True, f"healthy: celery@here (process {os.getpid()}): 0 of 2 slots busy, the database is unavailable"
    )  # fmt: skip
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_a_disk_that_takes_no_file_is_borne_and_told_once(
    database: Database, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "health").write_text("a file where the directory should be")
    presence = Presence(settings, "celery@here", lambda: IDLE)
    presence.say()
    assert consuming(database)
    presence.start()
    presence.close()
    assert database.execute("SELECT count(*) FROM workers").fetchone() == (0,)
    assert [record.levelno for record in caplog.records if "cannot be written" in record.message] == [logging.WARNING]
    assert check(settings)[0] is False


def test_one_sick_worker_among_several_is_enough(settings: Settings) -> None:
    HealthFile(settings, os.getpid()).write(report())
    assert check(settings)[0] is True
    HealthFile(settings, os.getppid()).write(report(pid=os.getppid(), consuming=False))
    well, line = check(settings)
    assert (well, line.count("; "), "takes no jobs" in line) == (False, 1, True)


@pytest.mark.parametrize(("seconds", "well"), [(44, True), (46, False)])
def test_three_missing_heartbeats_are_too_many(settings: Settings, seconds: int, *, well: bool) -> None:
    file = HealthFile(settings, os.getpid())
    file.write(report(seen_at=datetime.now(UTC) - timedelta(seconds=seconds)))
    assert check(settings)[0] is well


def test_what_killed_workers_left_is_not_counted_and_swept(settings: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    HealthFile(settings, gone.pid).write(report(pid=gone.pid))
    settings.worker_health_file.with_name("worker-0.json").write_text("{")
    HealthFile(settings, os.getpid()).write(report())
    well, line = check(settings)
    assert well
    assert line.startswith(f"healthy: celery@here (process {os.getpid()})")
    sweep(settings)
    left = [path.name for path in settings.worker_health_file.parent.iterdir()]
    assert left == [f"worker-{os.getpid()}.json"]
