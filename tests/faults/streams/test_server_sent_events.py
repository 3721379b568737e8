"""Server-sent events while a web process is killed, or a client never reads."""

from dataclasses import replace

import psycopg
import pytest

from shared.job_events import EventPublisher
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.api_server import running_server
from tests.conftest import Owner
from tests.event_reader import follow
from tests.faults.streams.readers import Reader
from tests.faults.web_socket.crowd import DEADLINE_SECONDS, Crowd

STEPS = {"steps": 15, "step_seconds": 0.1}
FRAMES = 10_000
AT_ONCE = 500
MOST_GROWTH_BYTES = 24 * 1024 * 1024


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.long)])
def test_all_see_the_end_although_one_of_two_processes_is_killed(
    settings: Settings, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind], count: int
) -> None:
    kind = kinds["demo.countdown"]
    job_id = factories.enqueue(database, factories.new_job(kind, owner.id, STEPS))
    with (
        running_server(settings) as one,
        running_server(settings) as two,
        factories.open_runner(settings, kinds) as runner,
    ):
        both = [one.port, two.port]
        readers = [Reader(owner, str(job_id), both if number % 2 else both[::-1]) for number in range(count)]

        crowd = Crowd(readers, one.memory.kill)
        crowd.start()
        assert crowd.subscribed.wait(DEADLINE_SECONDS)
        assert factories.run_job(runner, database, kind, job_id) == "succeeded"
        crowd.join_all()

        assert readers[0].job is not None
        assert all(reader.job == readers[0].job for reader in readers)
        assert {reader.connections for reader in readers} >= {1, 2}


def test_ten_thousand_frames_for_a_reader_that_never_reads_fill_no_memory_and_hold_up_nobody(
    settings: Settings, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    job_id = factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id))
    held = factories.claim(database, job_id)
    publisher = EventPublisher(settings)
    with running_server(settings) as server, server.connect() as silent, server.client() as client:
        request = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: {owner.headers['Authorization']}"
        silent.sendall(f"{request}\r\n\r\n".encode())
        with follow(client, f"/v1/jobs/{job_id}/events", owner.headers) as stream:
            stream.next_job()
            before = server.memory.memory_info().rss
            last = held.row.version + FRAMES
            for start in range(held.row.version + 1, last + 1, AT_ONCE):
                versions = range(start, min(start + AT_ONCE, last + 1))
                publisher.publish(
                    replace(held.row, version=version, progress_message="x" * 500) for version in versions
                )
            while stream.next_job()["version"] < last:
                pass
            assert server.memory.memory_info().rss - before < MOST_GROWTH_BYTES
    publisher.close()
