"""What comes over Redis and from the ledger, good and bad: a stream goes on whatever it is."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
import redis
from fastapi import FastAPI

from shared.ids import new_id
from shared.job_events import (
    CHANNEL,
    INTEREST_CHANNEL,
    LARGEST_FRAME_BYTES,
    NEWS_CHANNEL,
    EventPublisher,
    decode_head,
    encode_event,
)
from shared.job_kind import JobKind
from shared.job_row import COLUMNS, JobRow
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.event_reader import follow
from tests.integration.streams.conftest import change

pytestmark = pytest.mark.usefixtures("never_looking")


@pytest.fixture
def job_id(database: psycopg.Connection, owner: Owner, kinds: dict[str, JobKind]) -> str:
    return str(factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id)))


@pytest.fixture
def events(settings: Settings) -> Any:
    publisher = EventPublisher(settings)
    yield publisher
    publisher.close()


def read_row(database: psycopg.Connection, job_id: str) -> JobRow:
    values = database.execute(f"SELECT {COLUMNS} FROM jobs WHERE id = %s".encode(), (job_id,)).fetchone()  # noqa: S608 - ours
    assert values is not None
    return JobRow(*values)


def garbage(owner: Owner, job_id: str) -> list[bytes]:
    head = f"{job_id} {owner.id}".encode()
    return [
        b"", b"\n", b"\xff\xfe\n", b"x" * 100_000, b" \n", head, head + b" 7 0", head + b" seven 0\n{}",
        head + b" 7 0\n{}", head + b" 7 0\n[]", head + b" 7 0\nnull", head + b' 7 0\n{"id": 7}', head + b" 7 0\n{",
        head + b" " + b"9" * 90 + b" 0\n", b"\xc3\xa9" * 50, job_id.encode(), b"a b c d\n{}",
    ]  # fmt: skip


def test_a_message_that_cannot_be_read_is_left_alone(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, settings: Settings, job_id: str,
    events: EventPublisher,
) -> None:  # fmt: skip
    with (
        redis.Redis.from_url(settings.redis_url) as broker,
        follow(http, f"/v1/jobs/{job_id}/events", owner.headers) as one,
        follow(http, "/v1/events", owner.headers) as all_,
    ):
        assert one.next_job() == all_.next_job()
        for message in garbage(owner, job_id):
            for channel in (CHANNEL, NEWS_CHANNEL, INTEREST_CHANNEL):
                broker.publish(channel, message)
        change(database, job_id, state="running")
        events.publish([read_row(database, job_id)])
        assert one.next_job()["state"] == all_.next_job()["state"] == "running"


def test_messages_that_come_late_or_twice_tell_nothing(
    http: httpx2.Client, owner: Owner, database: psycopg.Connection, job_id: str, events: EventPublisher
) -> None:
    rows = [read_row(database, job_id)]
    for state in ("running", "queued", "running"):
        change(database, job_id, state=state)
        rows.append(read_row(database, job_id))
    first, second, third, last = rows
    with (
        follow(http, f"/v1/jobs/{job_id}/events", owner.headers) as one,
        follow(http, "/v1/events", owner.headers) as all_,
    ):
        assert one.next_job()["version"] == all_.next_job()["version"] == last.version
        events.publish([first, third, second, last, last])
        change(database, job_id, state="cancelled")
        events.publish([first, read_row(database, job_id)])
        assert one.next_job()["state"] == all_.next_job()["state"] == "cancelled"


class Statements:
    """Counts the looks of an application."""

    def __init__(self, app: FastAPI) -> None:
        self.looks: list[list[UUID]] = []
        look = app.state.resources.changes._look
        original: Callable[..., Any] = look._look

        async def counted(job_ids: Any, owner_ids: Any) -> None:
            self.looks.append(list(job_ids))
            await original(job_ids, owner_ids)

        look._look = counted


def test_a_frame_that_is_too_large_for_a_message_is_read_once_for_all(
    app: FastAPI, http: httpx2.Client, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind],
    settings: Settings, events: EventPublisher,
) -> None:  # fmt: skip
    words = {"text": "x" * LARGEST_FRAME_BYTES}
    job_id = str(factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id, words)))
    path, statements = f"/v1/jobs/{job_id}/events", Statements(app)
    with follow(http, path, owner.headers) as one, follow(http, path, owner.headers) as another:
        assert one.next_job() == another.next_job()
        change(database, job_id, state="running")
        row = read_row(database, job_id)
        assert decode_head(encode_event(row, settings.job_retention)).frame_at < 128
        events.publish([row])
        frame = one.next_job()
        assert (frame["state"], frame["input"]["text"]) == ("running", words["text"])
        assert another.next_job() == frame
    assert statements.looks == [[UUID(job_id)]]


def test_a_change_that_nobody_here_wants_is_not_read(
    app: FastAPI, http: httpx2.Client, owner: Owner, stranger: Owner, job_id: str
) -> None:
    statements, channel = Statements(app), app.state.resources.changes._channel
    with follow(http, f"/v1/jobs/{job_id}/events", owner.headers), follow(http, "/v1/events", stranger.headers):
        for someone in (owner.id, new_id()):
            # Were more read of it than its head, this would raise; and a frame that is missing would be looked for.
            channel._hear_change(f"{new_id()} {someone} 1 0\nnone".encode())
            channel._hear_change(f"{new_id()} {someone} 1 0\n".encode())
        http.get("/v1/jobs", headers=owner.headers)
    assert statements.looks == []


def test_a_stranger_is_told_nothing(
    http: httpx2.Client, owner: Owner, stranger: Owner, database: psycopg.Connection, job_id: str,
    events: EventPublisher, kinds: dict[str, JobKind],
) -> None:  # fmt: skip
    with follow(http, "/v1/events", stranger.headers) as stream:
        change(database, job_id, state="running")
        events.publish([read_row(database, job_id)])
        events.publish_news(owner.id)
        own = str(factories.enqueue(database, factories.new_job(kinds["test.echo"], stranger.id)))
        events.publish_news(stranger.id)
        assert stream.next_job()["id"] == own
