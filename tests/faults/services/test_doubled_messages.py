"""The same message many times: only the first is worth anything."""

from uuid import UUID

import psycopg

from tests.faults.services.broker import open_publisher
from tests.faults.services.yards import ServedYard, frozen
from tests.polling import await_that
from worker.dispatching import Dispatch

COPIES = 20
DISPATCHED = "SELECT dispatch_seq FROM jobs WHERE id = %s AND dispatched_at IS NOT NULL"


def read_dispatch(yard: ServedYard, path: str) -> Dispatch:
    """Wait until a job has been handed over; gives what its message says."""
    job_id = UUID(path.rpartition("/")[2])
    with psycopg.connect(yard.postgres.url, autocommit=True) as connection:
        row = await_that(lambda: connection.execute(DISPATCHED, (job_id,)).fetchone())
    return Dispatch(job_id, "test.echo", "default", row[0])


def test_a_message_that_comes_many_times_is_heeded_once(yard: ServedYard) -> None:
    with open_publisher(yard) as publisher:
        with frozen(yard.stack.supervisor.pid("worker")):
            path = yard.enqueue("test.echo", {"text": "once"})
            dispatch = read_dispatch(yard, path)
            for _ in range(COPIES):
                publisher.publish(dispatch)
        done = yard.wait(path)
        for _ in range(COPIES):
            publisher.publish(dispatch)
        # A queue is a line: when these have taken all slots, every message before theirs has had its turn.
        later = yard.begin_at_gates("after the copies")
        for gate in later.values():
            gate.write_text("through")
        yard.wait_for_all(later)

    attempts = yard.client.get(f"{path}/attempts").raise_for_status().json()
    print(f"\nthe same message {2 * COPIES + 1} times: {len(attempts)} attempt")
    assert (done["state"], done["result"]) == ("succeeded", {"text": "once", "attempt": 1})
    assert yard.read(path) == done
    assert [attempt["outcome"] for attempt in attempts] == ["succeeded"]
