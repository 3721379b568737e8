import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ops.output import LogFiles, Terminal
from ops.paths import ROOT
from ops.procfile import Program
from ops.supervisor import ProgramNotRunning, Supervisor
from tests.polling import await_that, has_ended

# Each tells through a named pipe, whose reading end waits for it, that it is up.
LEADER_AND_CHILD = """
(trap 'echo child heard it; exit 1' TERM; echo $(sh -c 'echo $PPID'); while :; do sleep 0.05; done) &
child=$!
trap 'echo leader heard it; kill -0 $child && echo child still lives; exit 0' TERM
echo $child > "$NEWS"
while :; do sleep 0.05; done
"""
STUBBORN = """
trap '' TERM
(trap '' TERM; exec sleep 1000) &
echo $! > "$NEWS"
while :; do sleep 0.05; done
"""
ABANDONING = """
sleep 1000 &
echo $! > "$NEWS"
exit 3
"""
SUPERVISE = """
import os, sys
from pathlib import Path
from ops.output import LogFiles
from ops.procfile import Program
from ops.supervisor import Supervisor
with Supervisor([Program("patient", 'sleep 1000 & echo $! > "$NEWS"; wait')], os.environ, LogFiles(Path(sys.argv[1]))):
    sys.stdin.read()
"""


class News:
    """A named pipe on which programs tell the process id of a child."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "news"
        os.mkfifo(self.path)

    def read_pid(self) -> int:
        return int(self.path.read_text())


@pytest.fixture
def news(tmp_path: Path) -> News:
    return News(tmp_path)


Supervise = Callable[..., Supervisor]


@pytest.fixture
def supervise(tmp_path: Path, news: News) -> Supervise:
    def make(command: str, *, name: str = "program", restart: bool = False) -> Supervisor:
        output = LogFiles(tmp_path / "log")
        return Supervisor([Program(name, command)], {"NEWS": str(news.path)}, output, restart=restart)

    return make


def log_of(tmp_path: Path) -> list[str]:
    return (tmp_path / "log" / "program.log").read_text().splitlines()


def wait_gone(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        await_that(lambda: has_ended(process))


def test_a_stop_reaches_the_leader_alone_and_then_no_member_of_the_group_lives(
    tmp_path: Path, supervise: Supervise, news: News
) -> None:
    with supervise(LEADER_AND_CHILD) as supervisor:
        child = news.read_pid()
        supervisor.stop()

    assert [line for line in log_of(tmp_path) if "heard" in line or "lives" in line] == [
        "leader heard it",
        "child still lives",
    ]
    wait_gone(child)


def test_who_does_not_stop_is_killed_at_the_deadline_with_all_children(supervise: Supervise, news: News) -> None:
    supervisor = supervise(STUBBORN)
    supervisor.start()
    leader, child = supervisor.pid("program"), news.read_pid()

    supervisor.stop(grace=0.2)

    assert supervisor.wait_exit("program") == -signal.SIGKILL
    wait_gone(leader)
    wait_gone(child)


def test_a_frozen_program_is_stopped_politely_too(tmp_path: Path, supervise: Supervise, news: News) -> None:
    with supervise(LEADER_AND_CHILD) as supervisor:
        news.read_pid()
        supervisor.signal_group("program", signal.SIGSTOP)

    assert "leader heard it" in log_of(tmp_path)


def test_children_of_a_leader_that_ended_by_itself_do_not_survive_it(supervise: Supervise, news: News) -> None:
    with supervise(ABANDONING) as supervisor:
        child = news.read_pid()

        assert supervisor.wait_exit("program") == 3
        wait_gone(child)
        with pytest.raises(ProgramNotRunning):
            supervisor.pid("program")


def test_a_killed_program_is_started_again(supervise: Supervise, news: News) -> None:
    with supervise(LEADER_AND_CHILD, restart=True) as supervisor:
        news.read_pid()
        first = supervisor.pid("program")
        os.kill(first, signal.SIGKILL)

        assert supervisor.wait_replaced("program", first) != first
        news.read_pid()
        assert supervisor.wait_exit("program") == -signal.SIGKILL


def test_one_program_is_stopped_and_started_while_the_others_run(tmp_path: Path, news: News) -> None:
    programs = [Program("one", LEADER_AND_CHILD), Program("two", "exec sleep 1000")]
    with Supervisor(programs, {"NEWS": str(news.path)}, LogFiles(tmp_path)) as supervisor:
        news.read_pid()
        other = supervisor.pid("two")
        supervisor.stop_one("one")
        assert supervisor.wait_exit("one") == 0

        assert supervisor.start_one("one") == supervisor.pid("one")
        news.read_pid()
        assert supervisor.pid("two") == other


def test_kill_ends_everything_and_nothing_comes_back(supervise: Supervise, news: News) -> None:
    with supervise(STUBBORN, restart=True) as supervisor:
        child = news.read_pid()
        supervisor.kill()

        assert supervisor.wait_exit("program") == -signal.SIGKILL
        wait_gone(child)
    with pytest.raises(ProgramNotRunning):
        supervisor.pid("program")


def test_a_failure_is_told_with_the_end_of_the_log(supervise: Supervise) -> None:
    with supervise("echo DATABASE_URL is wrong; exit 2") as supervisor:
        supervisor.wait_exit("program")

        assert supervisor.first_failure() == "program ended with 2:\nDATABASE_URL is wrong"


def test_programs_and_their_children_end_when_the_supervisor_is_killed(tmp_path: Path, news: News) -> None:
    command = [sys.executable, "-c", SUPERVISE, str(tmp_path / "log")]
    environment = {**os.environ, "NEWS": str(news.path)}
    parent = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE)
    child = news.read_pid()
    leader = psutil.Process(child).ppid()

    with parent:
        parent.kill()

    wait_gone(leader)
    wait_gone(child)


def test_a_program_finds_this_environment_first_on_its_path_and_no_settings_of_other_servers(
    tmp_path: Path, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLMODE", "require")
    with supervise('command -v python; echo "[$PGSSLMODE]"; echo "$JOBYARD_PROGRAM"') as supervisor:
        supervisor.wait_exit("program")

    assert log_of(tmp_path) == [str(Path(sys.executable).parent / "python"), "[]", "program"]


def test_on_the_terminal_every_line_bears_its_programs_name(tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    programs = [Program("one", "echo first; printf 'no end of line'"), Program("two", "echo second >&2")]
    with (
        shown.open("wb", buffering=0) as stream,
        Supervisor(programs, {}, Terminal(stream), restart=False) as supervisor,
    ):
        for name in supervisor.names:
            supervisor.wait_exit(name)
        assert supervisor.first_failure() == "one ended with 0:\nfirst\nno end of line"

    assert sorted(shown.read_text().splitlines()) == [
        "one        | first",
        "one        | no end of line",
        "two        | second",
    ]
