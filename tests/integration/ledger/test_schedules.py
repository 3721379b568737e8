"""Beat's ticks: sent by the real scheduler to a real broker, and one job each however often they come."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis
from celery import Celery

from shared.job_kind import JobKind
from shared.settings import Settings, get_settings
from tests import factories
from worker.celery_app import create_celery_app
from worker.schedules import SCHEDULES, TickScheduler, job_for_tick

DUE = datetime(2026, 11, 24, 12, 17, tzinfo=UTC)


@pytest.fixture
def celery_app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    get_settings.cache_clear()
    yield create_celery_app(settings)
    get_settings.cache_clear()


def start_beat(app: Celery, last_run_at: datetime) -> TickScheduler:
    scheduler = TickScheduler(app=app, lazy=False)
    for entry in scheduler.data.values():
        entry.last_run_at = last_run_at
    return scheduler


def sent(settings: Settings) -> list[tuple[str, str]]:
    with redis.Redis.from_url(settings.redis_url) as broker:
        messages: list[dict[str, Any]] = [json.loads(text) for text in broker.lrange("maintenance", 0, -1)]
        broker.delete("maintenance")
    arguments = [json.loads(base64.b64decode(message["body"]))[0] for message in messages]
    return sorted((schedule, due_at) for schedule, due_at in arguments)


def test_a_late_beat_names_the_same_minute_as_a_punctual_one(settings: Settings, celery_app: Celery) -> None:
    now = datetime.now(UTC)
    ticks: list[list[tuple[str, str]]] = []
    for started in (timedelta(days=40), timedelta(days=40, seconds=-1)):
        # Both last ran at almost the same moment long ago, and both are late by now.
        scheduler = start_beat(celery_app, now - started)
        # Beat works in whole seconds: a tick may say that what is due is due in a moment.
        while scheduler.tick() < 1:
            pass
        scheduler.close()
        ticks.append(sent(settings))
    assert ticks[0] == ticks[1]
    assert [schedule for schedule, _ in ticks[0]] == sorted(SCHEDULES)
    for _, due_at in ticks[0]:
        assert datetime.fromisoformat(due_at).second == 0


def test_a_schedule_that_is_not_due_sends_nothing(settings: Settings, celery_app: Celery) -> None:
    scheduler = start_beat(celery_app, datetime.now(UTC))
    assert scheduler.tick() > 0
    scheduler.close()
    assert sent(settings) == []


def test_two_ticks_of_one_minute_make_one_job(
    settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    with factories.open_runner(settings, kinds) as runner:
        for due in (DUE, DUE, DUE + timedelta(hours=1)):
            runner.enqueue_tick("files.clean", due.isoformat())
    rows = database.execute("SELECT kind, tags, count(*) FROM jobs GROUP BY 1, 2").fetchall()
    assert rows == [("files.clean", ["schedule:files.clean"], 2)]


def test_the_id_of_a_tick_is_its_own(kinds: dict[str, JobKind]) -> None:
    def id_of(schedule: str, due: datetime) -> UUID:
        return job_for_tick(kinds, schedule, due).id

    assert id_of("files.clean", DUE) == id_of("files.clean", DUE)
    assert len({id_of("files.clean", DUE), id_of("jobs.purge", DUE), id_of("files.clean", DUE + timedelta(1))}) == 3
    assert id_of("files.clean", DUE).version == 7
