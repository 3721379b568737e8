import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops.local_service import LocalService
from ops.paths import ROOT
from ops.ports import LOOPBACK, is_free
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from tests.polling import await_that, has_ended

MakePostgres = Callable[[Path], LocalPostgres]
SERVE = """
import sys
from pathlib import Path
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
service = LocalPostgres(Path(sys.argv[2]), fsync=False) if sys.argv[1] == "postgres" else LocalRedis(Path(sys.argv[2]))
service.start()
print(service.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def make_postgres() -> Iterator[MakePostgres]:
    made: list[LocalPostgres] = []

    def make(directory: Path) -> LocalPostgres:
        made.append(LocalPostgres(directory, fsync=False))
        return made[-1]

    yield make
    for server in made:
        server.remove()


def start_in_another_process(name: str, directory: Path) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", SERVE, name, str(directory)]
    parent = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def kill_parent(parent: subprocess.Popen[str]) -> None:
    with parent:
        parent.kill()


def select_one(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT 1").fetchone()
    return row and row[0]


def test_postgres_keeps_what_it_stores_and_its_password_between_runs(
    tmp_path: Path, make_postgres: MakePostgres
) -> None:
    first = make_postgres(tmp_path / "pg")
    with psycopg.connect(first.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.stop()

    second = make_postgres(tmp_path / "pg")
    with psycopg.connect(second.start()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    assert stat.S_IMODE((tmp_path / "pg" / "password").stat().st_mode) == 0o600


def test_postgres_is_version_18_in_utf_8_and_refuses_a_wrong_password(postgres: LocalPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url, password="wrong")


def test_postgres_starts_again_on_its_port_after_a_kill(tmp_path: Path, make_postgres: MakePostgres) -> None:
    server = make_postgres(tmp_path / "pg")
    url = server.start()
    os.kill(server.pid, signal.SIGKILL)

    assert server.start() == url
    assert select_one(url) == 1


def test_postgres_lives_in_a_long_path_with_spaces_quotes_and_umlauts(
    tmp_path: Path, make_postgres: MakePostgres
) -> None:
    # Longer than any unix socket's path may be.
    server = make_postgres(tmp_path / f'it\'s "my" plätz {"x" * 120}' / "pg")

    assert select_one(server.start()) == 1


def test_postgres_trusts_no_stale_pid_file(tmp_path: Path, make_postgres: MakePostgres) -> None:
    server = make_postgres(tmp_path / "pg")
    server.start()
    cluster = Path(psutil.Process(server.pid).cmdline()[2])
    server.stop()
    bystander = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=cluster.stat().st_uid)
    for pid_file in (tmp_path / "pg" / "postgres.pid", cluster / "postmaster.pid"):
        pid_file.write_text(f"{bystander.pid}\n{cluster}\n0\n5432\n\n127.0.0.1\n0 0\nready\n")

    try:
        assert select_one(server.start()) == 1
        assert bystander.poll() is None
    finally:
        bystander.communicate()


def test_a_copied_template_holds_what_the_template_held(postgres: LocalPostgres) -> None:
    with psycopg.connect(postgres.create_database("original")) as connection:
        connection.execute("CREATE TABLE copied AS SELECT 7 AS number")

    with psycopg.connect(postgres.create_database("copy", template="original")) as connection:
        assert connection.execute("SELECT number FROM copied").fetchone() == (7,)

    for name in ("copy", "original"):
        postgres.drop_database(name)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(postgres.database_url("copy"))


def test_redis_evicts_nothing_keeps_a_log_and_asks_for_a_password(tmp_path: Path) -> None:
    with LocalRedis(tmp_path / "a redis") as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        with (
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()

    with LocalRedis(tmp_path / "a redis") as server, redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.parametrize("service", [LocalPostgres, LocalRedis])
def test_a_taken_default_port_is_passed_over(tmp_path: Path, service: type[LocalService]) -> None:
    with socket.socket() as rival:
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_free(service.default_port):
            rival.bind((LOOPBACK, service.default_port))
            rival.listen()
        with service(tmp_path / "service") as server:
            assert server.port != service.default_port
            assert server.is_ready()
            if isinstance(server, LocalPostgres):
                server.remove()


def test_a_port_that_is_taken_between_the_choice_and_the_start_is_exchanged(tmp_path: Path) -> None:
    server = LocalRedis(tmp_path / "redis")
    chosen = server.port
    with socket.create_server((LOOPBACK, chosen)), server:
        assert server.port != chosen
        assert server.is_ready()


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_server_stops_when_its_parent_is_killed(tmp_path: Path, name: str) -> None:
    parent, pid = start_in_another_process(name, tmp_path / name)
    server = psutil.Process(pid)

    kill_parent(parent)

    await_that(lambda: has_ended(server))


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_server_that_even_its_leash_left_behind_is_replaced(tmp_path: Path, name: str) -> None:
    parent, pid = start_in_another_process(name, tmp_path / name)
    left_behind = psutil.Process(pid)
    leashes = [child for child in psutil.Process(parent.pid).children() if "leash.py" in " ".join(child.cmdline())]
    for leash in leashes:
        leash.kill()
    kill_parent(parent)
    assert left_behind.is_running()

    server = LocalPostgres(tmp_path / name, fsync=False) if name == "postgres" else LocalRedis(tmp_path / name)
    with server:
        await_that(lambda: has_ended(left_behind))
        assert server.pid != pid
        assert server.is_ready()
        if isinstance(server, LocalPostgres):
            server.remove()


@pytest.mark.root_linux
def test_as_root_postgres_runs_as_somebody_else_even_in_a_closed_directory(
    tmp_path: Path, make_postgres: MakePostgres
) -> None:
    tmp_path.chmod(0o700)
    server = make_postgres(tmp_path / "pg")
    server.start()

    assert psutil.Process(server.pid).uids().effective != 0
    cluster = (tmp_path / "pg" / "elsewhere").readlink()
    assert cluster.stat().st_uid == psutil.Process(server.pid).uids().real
    assert stat.S_IMODE(cluster.stat().st_mode) == 0o700

    server.remove()
    assert not cluster.exists()


@pytest.mark.root_linux
def test_a_cluster_elsewhere_goes_when_its_directory_has_been_deleted(
    tmp_path: Path, make_postgres: MakePostgres
) -> None:
    with make_postgres(tmp_path / "deleted"):
        abandoned = (tmp_path / "deleted" / "elsewhere").readlink()
    shutil.rmtree(tmp_path / "deleted")

    with make_postgres(tmp_path / "kept") as server:
        assert not abandoned.exists()
        assert server.is_ready()
