"""PostgreSQL away, or the worker told to stop, while messages are being handed over."""

import os
import signal

from tests.faults.mail.conftest import MailYard, email
from tests.faults.mail.office import Step

CHUNK = 50
HELD = 10
WORKERS = "SELECT count(DISTINCT worker) FROM job_attempts WHERE job_id = ANY(%s::uuid[])"


def test_the_servers_word_outlasts_an_absence_of_postgresql(yard: MailYard) -> None:
    postgres = yard.stack.postgres
    assert postgres is not None
    gate = yard.office.gate(Step.BODY, "outage@example.net")
    jobs = yard.send([email("outage@example.net", tag="outage")])
    gate.wait_taken()

    postgres.kill()
    try:
        gate.open()
        yard.office.wait(lambda: "outage@example.net" in yard.office.answered)
    finally:
        postgres.start()
    (job,) = yard.wait_for_jobs(jobs)

    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert yard.states("outage") == {"outage@example.net": "sent"}
    assert len(yard.office.to("outage@example.net")) == 1


def test_a_worker_that_stops_hands_the_rest_to_the_next(yard: MailYard) -> None:
    office = yard.office
    gates = [office.gate(Step.BODY, f"stop{number}@example.net") for number in range(HELD)]
    jobs = yard.send([email(f"stop{number}@example.net", tag="stop") for number in range(CHUNK)])
    for gate in gates:
        gate.wait_taken()
    leader = yard.stack.supervisor.pid("worker")

    os.kill(leader, signal.SIGTERM)
    office.clear_gates()
    yard.wait_for_jobs(jobs)

    assert [len(office.to(f"stop{number}@example.net")) for number in range(CHUNK)] == [1] * CHUNK
    with yard.database() as database:
        row = database.execute(WORKERS, ([path.rpartition("/")[2] for path in jobs],)).fetchone()
    assert row == (2,)
