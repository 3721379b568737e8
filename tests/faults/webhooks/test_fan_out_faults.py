"""Two dispatchers, of which the active one is killed or frozen around making jobs of events: each is told once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.paths import ROOT
from tests.faults.webhooks.conftest import WebhookYard, open_webhook_yard

PROGRAM = "tests/faults/programs/fan_out_that_fails.py"
JOBS = 20


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the directory in which dispatchers look for what shall befall them."""
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory, faults: Path) -> Iterator[WebhookYard]:
    """Run a Jobyard with two dispatchers that fail when asked to."""
    directory = tmp_path_factory.mktemp("yard")
    lines = (ROOT / "Procfile").read_text().splitlines()
    procfile = directory / "Procfile"
    procfile.write_text("\n".join(f"dispatcher: exec python {PROGRAM}" if line.startswith("dispatcher:") else line
                                  for line in lines))  # fmt: skip
    with open_webhook_yard(
        directory, replicas={"dispatcher": 2}, procfile=procfile, environment={"FAULT_DIR": str(faults)}
    ) as yard:
        yield yard


@pytest.mark.parametrize("fault", ["kill-before-commit", "kill-after-commit", "stop-before-commit"])
def test_each_event_is_told_once_whatever_befalls_the_dispatcher(yard: WebhookYard, faults: Path, fault: str) -> None:
    endpoint = yard.register("job.*")
    os.mkfifo(faults / fault)
    before = len(yard.receiver.received)

    jobs = [yard.enqueue("test.echo", {"text": fault}) for _ in range(JOBS)]
    befallen = (faults / fault).read_text()
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
