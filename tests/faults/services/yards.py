"""Jobyards whose services are attacked."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from ops.paths import ROOT
from ops.ports import free_port
from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from tests.faults.conftest import JSON, Yard, open_yard
from tests.faults.proxies.postgres_proxy import PostgresProxy
from tests.faults.proxies.tcp_proxy import Proxy

SLOTS = 2
LARGEST_FILE_BYTES = 4 * 1024 * 1024
_ULIMIT_UNIT = 512


@dataclass(frozen=True)
class ServedYard(Yard):
    """Is a running Jobyard, and its services."""

    postgres: LocalPostgres
    redis: LocalRedis

    def wait_for_all(self, paths: Iterable[str]) -> list[JSON]:
        """Wait for the end of many jobs."""
        return [self.wait(path) for path in paths]

    def count_attempts(self, paths: Iterable[str]) -> dict[int, int]:
        """Count how many jobs have had how many attempts, those that came to nothing included."""
        ids = [path.rpartition("/")[2] for path in paths]
        statement = (
            "SELECT count(fence) FROM unnest(%s::uuid[]) AS job (id) LEFT JOIN job_attempts ON job_id = id GROUP BY id"
        )
        with psycopg.connect(self.postgres.url) as connection:
            return dict(Counter(number for (number,) in connection.execute(statement, (ids,))))

    def begin_at_gates(self, name: str, kind: str = "test.gate", number: int = SLOTS) -> dict[str, Path]:
        """Occupy slots; gives the gate of each job, by its path, when they run."""
        gates = [self.make_gate(f"{name}-{place}") for place in range(number)]
        begun = {self.enqueue(kind, {"path": str(gate)}): gate for gate in gates}
        for path in begun:
            self.wait_for_attempt(path, 1)
        return begun

    def outwait(self, path: str) -> None:
        """Let half a minute pass, in which a job does not change."""
        headers = {"Prefer": "wait=30", "If-None-Match": f'"{self.read(path)["version"]}"'}
        assert self.client.get(path, headers=headers).status_code == 304


@dataclass(frozen=True)
class ProxiedYard(ServedYard):
    """Is a running Jobyard, and the lines to its services."""

    postgres_line: PostgresProxy
    redis_line: Proxy


@contextmanager
def frozen(pid: int) -> Generator[None]:
    """Freeze a process."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def restart_empty(redis: LocalRedis) -> None:
    """Kill Redis and start it again without anything it knew."""
    redis.kill()
    for store in redis.directory.glob("store-*"):
        shutil.rmtree(store)
    redis.start()


@contextmanager
def open_served_yard(directory: Path) -> Generator[ServedYard]:
    """Run a Jobyard with services of its own. Its worker cannot write files beyond a size, as on a full disk."""
    procfile = directory / "Procfile"
    limited = f"worker: ulimit -f {LARGEST_FILE_BYTES // _ULIMIT_UNIT}; exec"
    procfile.write_text((ROOT / "Procfile").read_text().replace("worker: exec", limited))
    with open_yard(directory, procfile=procfile) as yard:
        assert yard.stack.postgres is not None
        assert yard.stack.redis is not None
        yield ServedYard(yard.client, yard.gates, yard.stack, yard.stack.postgres, yard.stack.redis)


@contextmanager
def open_proxied_yard(directory: Path) -> Generator[ProxiedYard]:
    """Run a Jobyard that reaches its services through proxies."""
    with (
        LocalPostgres(directory / "postgres", port=free_port()) as postgres,
        LocalRedis(directory / "redis", port=free_port()) as redis,
        PostgresProxy(postgres.port) as postgres_line,
        Proxy(redis.port) as redis_line,
    ):
        given = {"DATABASE_URL": postgres_line.url(postgres.url), "REDIS_URL": redis_line.url(redis.url)}
        with open_yard(directory, given=given) as yard:
            yield ProxiedYard(yard.client, yard.gates, yard.stack, postgres, redis, postgres_line, redis_line)
