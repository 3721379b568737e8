"""Many clients of one job on two web processes, of which one is killed: none misses the end, none goes back."""

import psycopg
import pytest

from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.api_server import running_server
from tests.conftest import Owner
from tests.faults.crowds.crowd import DEADLINE_SECONDS, Client, Crowd
from tests.faults.crowds.readers import Reader

STEPS = {"steps": 15, "step_seconds": 0.1}


@pytest.mark.parametrize("of", [Client, Reader])
@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.long)])
def test_all_see_the_end_although_one_of_two_processes_is_killed(
    settings: Settings,
    owner: Owner,
    database: psycopg.Connection,
    kinds: dict[str, JobKind],
    count: int,
    of: type[Client],
) -> None:
    kind = kinds["demo.countdown"]
    job_id = factories.enqueue(database, factories.new_job(kind, owner.id, STEPS))
    with (
        running_server(settings) as one,
        running_server(settings) as two,
        factories.open_runner(settings, kinds) as runner,
    ):
        both = [one.port, two.port]
        clients = [of(owner, str(job_id), both if number % 2 else both[::-1]) for number in range(count)]

        crowd = Crowd(clients, one.memory.kill)
        crowd.start()
        assert crowd.subscribed.wait(DEADLINE_SECONDS)
        assert factories.run_job(runner, database, kind, job_id) == "succeeded"
        crowd.join_all()

        final = clients[0].job
        assert final is not None
        assert all(client.job == final for client in clients)
        assert all(client.versions == sorted(client.versions) for client in clients)
        assert sorted({client.connections for client in clients}) == [1, 2]
