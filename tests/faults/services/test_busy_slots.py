"""All slots busy for long: what waits does not pile up in the broker, and what is urgent is next."""

from uuid import UUID

import psycopg
import pytest

from shared.settings import Settings
from tests.faults.services.broker import open_publisher
from tests.faults.services.posts import accepted, post_many
from tests.faults.services.yards import SLOTS, ServedYard
from tests.polling import await_that

WAITING = 250
"""Many more than may wait in the broker."""
BATCHES = 10
STARTED_FIRST = "SELECT id FROM jobs WHERE id = ANY(%s::uuid[]) AND started_at IS NOT NULL ORDER BY started_at LIMIT 1"
HANDED_OVER = "SELECT 1 FROM jobs WHERE id = %s AND dispatched_at IS NOT NULL"


def id_of(path: str) -> UUID:
    return UUID(path.rpartition("/")[2])


# Ten times half a minute; sent again in any case after ten minutes, and suspected after five seconds.
@pytest.mark.parametrize("waits", [0, pytest.param(10, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_with_all_slots_busy_messages_do_not_pile_up_and_an_urgent_job_is_next(yard: ServedYard, waits: int) -> None:
    window = Settings.model_fields["dispatch_window"].default
    busy = yard.begin_at_gates(f"busy-{waits}", "test.long_gate")
    counts: list[int] = []
    waiting: list[str] = []
    with open_publisher(yard) as publisher, psycopg.connect(yard.postgres.url, autocommit=True) as database:
        for _ in range(BATCHES):
            waiting += accepted(post_many(yard, WAITING // BATCHES))
            counts.append(publisher.count_messages("default"))
        for _ in range(waits):
            yard.outwait(next(iter(busy)))
            counts.append(publisher.count_messages("default"))
        urgent = yard.enqueue("test.echo", {"text": "urgent"}, priority=100)
        await_that(lambda: database.execute(HANDED_OVER, (id_of(urgent),)).fetchone())
        counts.append(publisher.count_messages("default"))
        gates = list(busy.values())
        gates[0].write_text("through")
        assert yard.wait(urgent)["state"] == "succeeded"
        for gate in gates[1:]:
            gate.write_text("through")
        states = {job["state"] for job in yard.wait_for_all([*busy, *waiting])}
        first = database.execute(STARTED_FIRST, ([str(id_of(path)) for path in [*waiting, urgent]],)).fetchone()

    print(f"\n{SLOTS} slots busy, {WAITING} jobs waiting: the broker held {counts} messages; the urgent job was next")
    assert max(counts) <= 2 * window
    assert first == (id_of(urgent),)
    assert states == {"succeeded"}
    assert yard.count_attempts([*busy, *waiting, urgent]) == {1: len(busy) + WAITING + 1}
