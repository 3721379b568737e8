"""What becomes of a command whose server is killed, stays away, or never was there."""

import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Yard
from tests.integration.client.command.conftest import SAMPLES, Shell, given_environment
from tests.integration.client.command.forks import Forks


@pytest.fixture(scope="module", autouse=True)
def nowhere(tmp_path_factory: pytest.TempPathFactory, forks: Forks) -> "Iterator[subprocess.Popen[bytes]]":
    """Begin a command that has no server: until it gives up, some seconds later, other tests can run."""
    home = tmp_path_factory.mktemp("nowhere")
    own = {"HOME": str(home), "JOBYARD_URL": "http://127.0.0.1:1", "JOBYARD_TOKEN": "a-token"}
    with Shell(home, given_environment() | own, forks).start("jobs", "ls") as process:
        yield process


def test_a_server_that_is_killed_while_a_picture_is_waited_for_costs_nothing(shell: Shell, yard: Yard) -> None:
    supervisor = yard.stack.supervisor
    # Frozen, it leaves the job queued.
    supervisor.signal_group("worker", signal.SIGSTOP)
    try:
        with shell.start("resize", SAMPLES / "photographer.png", "--width", "20", "-o", "small.png") as resize:
            assert resize.stderr
            assert b" is queued" in resize.stderr.readline()
            killed = supervisor.pid("web")
            supervisor.signal_group("web", signal.SIGKILL)
            supervisor.wait_replaced("web", killed)
            supervisor.signal_group("worker", signal.SIGCONT)
            output, errors = resize.communicate(timeout=120)
    finally:
        supervisor.signal_group("worker", signal.SIGCONT)
    assert (resize.returncode, output) == (0, b"small.png\n"), errors
    assert (shell.directory / "small.png").exists()


def test_what_is_not_done_in_time_goes_on_and_is_named(shell: Shell) -> None:
    given = '{"steps": 1000, "step_seconds": 60}'
    late = shell.run("jobs", "run", "demo.countdown", "--input", given, "--wait", "--timeout", "1")
    (job,) = shell.ok("jobs", "ls", "--json").json
    assert late.status == 7
    assert late.errors.splitlines()[-2:] == [
        "jobyard: Timed out: it was not done within 1 s (timed_out)",
        f"job {job['id']} goes on; watch it: jobyard jobs watch {job['id']}",
    ]
    shell.ok("jobs", "cancel", job["id"])


def test_a_server_that_is_not_there_is_told_from_one_that_refuses(nowhere: "subprocess.Popen[bytes]") -> None:
    output, errors = nowhere.communicate(timeout=120)
    assert (nowhere.returncode, output, errors.count(b"\n")) == (6, b"", 1)
    assert errors.endswith(b"(connection_failed)\n")
