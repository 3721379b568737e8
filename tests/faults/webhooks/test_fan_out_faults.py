"""Two dispatchers, of which the active one is killed or frozen around making jobs of events: each is told once."""

import signal
from collections.abc import Iterator

import pytest

from tests.faults.conftest import FailingYard
from tests.faults.webhooks.conftest import WebhookYard, receiving

JOBS = 20


@pytest.fixture(scope="module")
def yard(failing: FailingYard) -> Iterator[WebhookYard]:
    """Give the Jobyard with two dispatchers that fail when asked to, with a receiver."""
    with receiving(failing) as with_receiver:
        yield with_receiver


@pytest.mark.parametrize("fault", ["kill-before-commit", "kill-after-commit", "stop-before-commit"])
def test_each_event_is_told_once_whatever_befalls_the_dispatcher(
    yard: WebhookYard, failing: FailingYard, fault: str
) -> None:
    endpoint = yard.register("job.*")
    asked_for = failing.arm(fault)
    before = len(yard.receiver.received)

    jobs = [yard.enqueue("test.echo", {"text": fault}) for _ in range(JOBS)]
    befallen = asked_for.read_text()
    ended = yard.finish(jobs)
    deliveries = yard.wait_for_deliveries(endpoint, 3 * JOBS)
    if fault.startswith("stop"):
        yard.stack.supervisor.signal_group(befallen, signal.SIGCONT)

    heard: dict[str, list[int]] = {}
    for request in yard.receiver.received[before:]:
        heard.setdefault(request.envelope["data"]["id"], []).append(request.envelope["data"]["version"])
    assert len(deliveries) == 3 * JOBS
    assert {each["state"] for each in deliveries} == {"delivered"}
    assert heard == {job["id"]: [1, 2, 3] for job in ended}
    yard.remove(endpoint)
