"""Redis frozen, wiped, killed; PostgreSQL restarted: streams stay open, and miss nothing that was recorded."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import httpx2
import psycopg
import pytest
import redis

from api import change_channel, ledger_look
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from shared.job_events import EventPublisher
from shared.job_row import COLUMNS, JobRow
from shared.settings import Settings
from tests.conftest import Owner
from tests.event_reader import Stream, follow
from tests.faults.streams.conftest import Later
from tests.subscriptions import wait_for_subscription

FOLLOWERS = 20
Attack = Callable[[LocalRedis], AbstractContextManager[None]]


@contextmanager
def frozen(server: LocalRedis) -> Generator[None]:
    """Let Redis say nothing for a while."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def killed(server: LocalRedis) -> Generator[None]:
    """Let Redis be away for a while and come back empty."""
    server.kill()
    try:
        yield
    finally:
        for store in server.directory.glob("store-*"):
            shutil.rmtree(store)
        server.start()


@contextmanager
def wiped(server: LocalRedis) -> Generator[None]:
    """Empty Redis and end its connections."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.client_kill_filter(_type="pubsub")
    yield


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look into the ledger, and for Redis, sooner than once a second."""
    monkeypatch.setattr(ledger_look, "LEDGER_SECONDS", 0.2)
    monkeypatch.setattr(change_channel, "AGAIN_SECONDS", 0.2)


def enqueue(http: httpx2.Client, owner: Owner) -> str:
    body = {"kind": "test.echo", "input": {}}
    return http.post("/v1/jobs", json=body, headers=owner.headers).raise_for_status().json()["id"]


def states(stream: Stream) -> list[str]:
    return [event.data["state"] for event in stream.rest() if event.name == "job"]


@pytest.mark.parametrize("attack", [frozen, killed, wiped])
def test_without_redis_streams_learn_of_the_end_and_with_it_they_hear_again(
    http: httpx2.Client, owner: Owner, later: Later, settings: Settings, redis_server: LocalRedis, attack: Attack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    job_id = enqueue(http, owner)
    path = f"/v1/jobs/{job_id}/events"
    with ExitStack() as streams:
        following = [streams.enter_context(follow(http, path, owner.headers)) for _ in range(FOLLOWERS)]
        all_ = streams.enter_context(follow(http, "/v1/events", owner.headers))
        assert all_.next_job()["state"] == "queued"
        with attack(redis_server):
            later.change(job_id, "running")
            assert all_.next_job()["state"] == "running"
            later.change(job_id, "succeeded")
            assert {tuple(states(stream)) for stream in following} <= {
                ("queued", "running", "succeeded"), ("running", "succeeded")
            }  # fmt: skip
            assert all_.next_job()["state"] == "succeeded"
            # Accepted here, so no message is needed.
            new = enqueue(http, owner)
            assert all_.next_job()["id"] == new
        wait_for_subscription(settings)
        # From here on only messages tell.
        monkeypatch.setattr(ledger_look, "LEDGER_SECONDS", 3600.0)
        one = streams.enter_context(follow(http, f"/v1/jobs/{new}/events", owner.headers))
        publish(settings, later, new, "running")
        # The look that had begun before may have told the first; the second is left to the message.
        assert one.next_job()["id"] == new
        publish(settings, later, new, "succeeded")
        assert one.rest()[-1].data["state"] == "succeeded"


def publish(settings: Settings, later: Later, job_id: str, state: str) -> None:
    """Change a job as a worker does: the ledger first, then a message."""
    later.change(job_id, state)
    with psycopg.connect(settings.database_url) as connection:
        statement = f"SELECT {COLUMNS} FROM jobs WHERE id = %s".encode()  # noqa: S608 - the columns are a constant
        values = connection.execute(statement, (job_id,)).fetchone()
    assert values is not None
    publisher = EventPublisher(settings)
    publisher.publish([JobRow(*values)])
    publisher.close()


def test_streams_outlast_a_restart_of_postgresql_with_redis_away_too(
    http: httpx2.Client, owner: Owner, later: Later, postgres: LocalPostgres, redis_server: LocalRedis
) -> None:
    job_id = enqueue(http, owner)
    with (
        follow(http, f"/v1/jobs/{job_id}/events", owner.headers) as one,
        follow(http, "/v1/events", owner.headers) as all_,
        frozen(redis_server),
    ):
        assert one.next_job() == all_.next_job()
        failed = threading.Event()
        with noting(failed):
            postgres.stop()
            # A look has met the stopped server, so it is not only spared by chance.
            assert failed.wait(20)
            postgres.start()
        later.change(job_id, "running")
        assert one.next_job()["state"] == all_.next_job()["state"] == "running"
        later.change(job_id, "succeeded")
        assert one.rest()[-1].data["state"] == all_.next_job()["state"] == "succeeded"


@contextmanager
def noting(failed: threading.Event) -> Generator[None]:
    """Note within this block that a look has failed."""
    looks: Any = ledger_look.LedgerLook
    original = looks._try

    async def attempt(look: Any, job_ids: Any, owner_ids: Any) -> bool:
        went_well = await original(look, job_ids, owner_ids)
        if not went_well:
            failed.set()
        return went_well

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "_try", attempt)
        yield
