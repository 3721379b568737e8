"""Server-sent events for a client that never reads."""

from dataclasses import replace

import psycopg

from shared.job_events import EventPublisher
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.api_server import running_server
from tests.conftest import Owner
from tests.event_reader import follow

FRAMES = 10_000
AT_ONCE = 500
MOST_GROWTH_BYTES = 24 * 1024 * 1024


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
