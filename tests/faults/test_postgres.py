"""PostgreSQL gone and back while a job runs."""

import os
import signal

from tests.faults.conftest import Yard, open_gate


def test_an_outage_is_answered_with_503_and_costs_no_attempt(yard: Yard) -> None:
    gate = yard.make_gate("outage")
    path = yard.enqueue("test.gate", {"path": str(gate)})
    yard.wait_for_attempt(path, 1)
    service = yard.stack.postgres
    assert service is not None
    os.kill(service.pid, signal.SIGKILL)
    # A session that is being served outlives the postmaster by a moment.
    while (answer := yard.client.get(path)).status_code == 200:
        pass
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["code"] == "database_unavailable"
    assert yard.client.get("/health/live").status_code == 200
    assert yard.client.get("/health/ready").status_code == 503
    # The handler ends while nobody can write its outcome down.
    open_gate(gate, "through")
    service.start()
    while yard.client.get(path).status_code == 503:
        pass
    job = yard.wait(path)
    assert (job["state"], job["result"]) == ("succeeded", {"text": "through", "attempt": 1})
