import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import psycopg
import pytest

from ops.checkout_lock import CheckoutBusy
from ops.endpoints import load_endpoints
from ops.paths import ROOT
from ops.ports import LOOPBACK, is_free
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from ops.stack import Stack, StackFailed
from tests.polling import has_ended

READY = "web: exec python -m tests.ops.ready_server\nmailbox: exec sleep 1000\n"
STACK = """
import sys
from pathlib import Path
from ops.stack import Stack
with Stack(Path(sys.argv[1]), procfile=Path(sys.argv[2]), fsync=False) as stack:
    print(stack.supervisor.pid("mailbox"), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def given(postgres: LocalPostgres, redis_server: LocalRedis) -> dict[str, str]:
    """Give the session's services, for tests that are about something else."""
    return {"DATABASE_URL": postgres.url, "REDIS_URL": redis_server.url}


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "a var"
    yield directory
    LocalPostgres(directory / "postgres").remove()


def make_stack(var: Path, procfile: str = READY, given: Mapping[str, str] | None = None) -> Stack:
    file = var.parent / "Procfile"
    file.write_text(procfile)
    return Stack(var, given=given, procfile=file, fsync=False)


def test_a_second_run_finds_the_database_and_the_credentials_of_the_first(var: Path) -> None:
    with make_stack(var) as first:
        endpoints = first.endpoints
        with psycopg.connect(endpoints.database_url) as connection:
            connection.execute("INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'a@b.c', '!')")
    assert is_free(endpoints.port)

    with make_stack(var) as second, psycopg.connect(second.endpoints.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM users WHERE email = 'a@b.c'").fetchone() == (1,)
        for kept in ("secret_key", "flower_password", "login_password"):
            assert getattr(second.endpoints, kept) == getattr(endpoints, kept)


def test_a_killed_stack_leaves_nothing_and_the_next_one_starts(var: Path) -> None:
    make_stack(var)
    command = [sys.executable, "-c", STACK, str(var), str(var.parent / "Procfile")]
    killed = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert killed.stdout is not None
    program = psutil.Process(int(killed.stdout.readline()))
    with killed:
        killed.kill()

    # The start waits for what the leash of the killed one still does, so everything of the past has ended by now.
    with make_stack(var) as stack:
        assert has_ended(program)
        assert stack.endpoints.api_url


def test_endpoints_are_written_for_their_owner_alone(var: Path, given: dict[str, str]) -> None:
    with make_stack(var, given=given) as stack:
        file = var / "endpoints.json"

        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert load_endpoints(file) == stack.endpoints
        assert stat.S_IMODE((var / "credentials.json").stat().st_mode) == 0o600


def test_given_services_are_used_and_none_of_our_own_started(var: Path, given: dict[str, str]) -> None:
    with make_stack(var, given={**given, "SMTP_URL": "smtp://127.0.0.1:2525"}) as stack:
        assert (stack.postgres, stack.redis) == (None, None)
        assert stack.endpoints.database_url == given["DATABASE_URL"]
        assert stack.endpoints.smtp_url == "smtp://127.0.0.1:2525"
        assert stack.supervisor.names == ["web"]


def test_default_ports_that_are_taken_are_passed_over(var: Path, given: dict[str, str]) -> None:
    defaults = (8000, 5555, 1025)
    with contextlib.ExitStack() as rivals:
        for port in defaults:
            if is_free(port):
                rivals.enter_context(socket.create_server((LOOPBACK, port)))
        with make_stack(var, given=given) as stack:
            endpoints = stack.endpoints
            mailbox_port = int(endpoints.smtp_url.rpartition(":")[2])
            assert not {endpoints.port, endpoints.flower_port, mailbox_port} & set(defaults)


def test_a_second_stack_of_one_checkout_is_refused_in_one_line_and_harms_nothing(
    var: Path, given: dict[str, str]
) -> None:
    with make_stack(var, given=given) as first:
        with pytest.raises(CheckoutBusy, match=f"already runs from .*process {os.getpid()}"):
            make_stack(var, given=given).__enter__()
        with pytest.raises(CheckoutBusy):
            make_stack(var, given=given).__enter__()

        assert first.supervisor.pid("web")


def test_a_program_that_dies_at_the_start_is_named_with_its_last_words(var: Path, given: dict[str, str]) -> None:
    stack = make_stack(var, "web: echo JOBYARD_PORT: must be a number; exit 2\n", given)

    with pytest.raises(StackFailed, match=r"web ended with 2:\nJOBYARD_PORT: must be a number"):
        stack.__enter__()


def test_a_stop_asked_for_during_the_start_is_heard(var: Path, given: dict[str, str]) -> None:
    stack = make_stack(var, "web: exec sleep 1000\n", given)
    stack.stopping.set()

    with pytest.raises(StackFailed, match="stopped while starting"):
        stack.__enter__()
