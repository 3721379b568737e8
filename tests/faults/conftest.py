"""Whole Jobyards of real processes, with a short lease so that a rescue is soon.

A start costs five seconds of a processor, so tests share two: `yard`, as it is delivered, and `failing`, whose
dispatchers fail when they are asked to. Tests of what these have not, or of services under attack, open their own.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ops import supervised
from ops.migrate import upgrade
from ops.paths import ROOT
from ops.ports import free_port
from ops.postgres import LocalPostgres
from ops.stack import Stack

LEASE_SECONDS = 2
JSON = dict[str, Any]


@dataclass(frozen=True)
class Visitor:
    """Is a client of a running Jobyard that is signed in, and knows its gates."""

    client: httpx2.Client
    gates: Path

    def enqueue(self, kind: str, job_input: JSON, **options: Any) -> str:
        """Enqueue a job; gives its path."""
        body = {"kind": kind, "input": job_input} | options
        while (answer := self.client.post("/v1/jobs", json=body)).status_code == 503:
            pass
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """Ask for a job, and again after 503, as clients are told to: each broken connection costs one answer."""
        while (answer := self.client.get(path, headers=headers)).status_code == 503:
            pass
        return answer.raise_for_status() if answer.is_error else answer

    def read(self, path: str) -> JSON:
        """Read a job."""
        return self.get(path).json()

    def wait(self, path: str) -> JSON:
        """Wait for a job's end."""
        job = self.read(path)
        for _ in range(4):
            if job["done"]:
                return job
            job = self.get(path, Prefer="wait=30").json()
        assert job["done"], job
        return job

    def wait_for_attempt(self, path: str, number: int) -> int:
        """Wait until so many attempts have begun and the newest has said which process runs it; gives that."""
        job = self.read(path)
        while not (job["attempt"] == number and job["state"] == "running" and job["progress"]["message"]):
            assert not job["done"], job
            headers = {"Prefer": "wait=30", "If-None-Match": f'"{job["version"]}"'}
            answer = self.client.get(path, headers=headers)
            assert answer.status_code == 200, "no change within 30 s"
            job = answer.json()
        return int(job["progress"]["message"])

    def make_gate(self, name: str) -> Path:
        """Make a gate at which a job waits."""
        gate = self.gates / name
        os.mkfifo(gate)
        return gate


@dataclass(frozen=True)
class Yard(Visitor):
    """Is a running Jobyard and a client that is signed in."""

    stack: Stack


def open_gate(gate: Path, text: str) -> None:
    """Let through whoever waits at a gate."""
    gate.write_text(text)


def sign_in(client: httpx2.Client, account: dict[str, str]) -> None:
    """Sign a client in."""
    tokens = client.post("/v1/auth/login", json=account).raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"


ACCOUNT = {"email": "faults@example.com", "password": "long enough for a test"}
PROGRAMS = ("web", "dispatcher", "worker")
RESTART_SECONDS = 0.1
FAILING_DISPATCHER = "tests/faults/programs/dispatcher_that_fails.py"
FAILING_SLOTS = 8
"""Frozen children keep theirs."""


@contextmanager
def open_yard(
    directory: Path,
    *,
    only: tuple[str, ...] = PROGRAMS,
    replicas: dict[str, int] | None = None,
    lease_seconds: float = LEASE_SECONDS,
    procfile: Path = ROOT / "Procfile",
    environment: dict[str, str] | None = None,
    given: Mapping[str, str] | None = None,
) -> Generator[Yard]:
    """Run a Jobyard of some programs below a directory.

    `environment` adds to what all of them get, `given` names services to use in place of its own.
    """
    complete = {
        "JOBYARD_JOB_MODULES": "worker.jobs,tests.kinds",
        "JOBYARD_LEASE_SECONDS": str(lease_seconds),
        "JOBYARD_ENVIRONMENT": "test",
        "PYTHONPATH": str(ROOT),
    } | (environment or {})
    given = {"JOBYARD_PORT": str(free_port()), "JOBYARD_FLOWER_PORT": str(free_port()), **(given or {})}
    gates = directory / "gates"
    gates.mkdir()
    # With fsync, as in production: the promise is about commits that survive a crash.
    with (
        Stack(
            directory / "var", given=given, procfile=procfile, only=only, replicas=replicas, environment=complete,
            usual_ports=False,
        ) as stack,
        httpx2.Client(base_url=stack.endpoints.api_url, timeout=40) as client,
    ):  # fmt: skip
        client.post("/v1/auth/register", json=ACCOUNT).raise_for_status()
        sign_in(client, ACCOUNT)
        try:
            yield Yard(client, gates, stack)
        finally:
            # The tests are over: what is about stopping has stopped something itself.
            stack.kill()
            if stack.postgres is not None and stack.postgres.is_running:
                os.kill(stack.postgres.pid, signal.SIGQUIT)


@pytest.fixture(scope="session", autouse=True)
def prompt_restarts() -> Iterator[None]:
    """Have what is killed started again soon, however often that has been."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "_FIRST_DELAY", RESTART_SECONDS)
        patch.setattr(supervised, "_LONGEST_DELAY", RESTART_SECONDS)
        yield


@pytest.fixture(scope="session")
def make_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Mapping[str, str]]]:
    """Run a PostgreSQL that nobody attacks, as in production; each call names a migrated database of its own there."""
    numbers = count(1)
    # Its port stays its own.
    with LocalPostgres(tmp_path_factory.mktemp("ledgers"), port=free_port()) as server:
        upgrade(server.create_database("template"))
        yield lambda: {"DATABASE_URL": server.create_database(f"ledger{next(numbers)}", template="template")}
        os.kill(server.pid, signal.SIGQUIT)


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory, make_ledger: Callable[[], Mapping[str, str]]) -> Iterator[Yard]:
    """Run a Jobyard that welcomes who registers and tells receivers on this machine."""
    environment = {
        "JOBYARD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "JOBYARD_WELCOME_EMAIL": "true",
        "JOBYARD_MAIL_FROM": "Yard <yard@example.com>",
    }
    with open_yard(
        tmp_path_factory.mktemp("yard"),
        only=(*PROGRAMS, "flower", "mailbox"),
        environment=environment,
        given=make_ledger(),
    ) as yard:
        yield yard


@dataclass(frozen=True)
class FailingYard(Yard):
    """Is a running Jobyard with two dispatchers, to which a fault comes when the directory of `faults` says so."""

    faults: Path

    def arm(self, fault: str) -> Path:
        """Have a fault come to the dispatcher that gets there next; reading it waits for that, and tells to which."""
        os.mkfifo(self.faults / fault)
        return self.faults / fault


@pytest.fixture(scope="session")
def failing(
    tmp_path_factory: pytest.TempPathFactory, make_ledger: Callable[[], Mapping[str, str]]
) -> Iterator[FailingYard]:
    """Run a Jobyard with two dispatchers that fail when asked to, and with slots to lose."""
    directory, faults = tmp_path_factory.mktemp("failing"), tmp_path_factory.mktemp("faults")
    usual = "dispatcher: exec python -m worker.dispatcher"
    procfile = directory / "Procfile"
    procfile.write_text((ROOT / "Procfile").read_text().replace(usual, f"dispatcher: exec python {FAILING_DISPATCHER}"))
    environment = {
        "FAULT_DIR": str(faults),
        "JOBYARD_WORKER_CONCURRENCY": str(FAILING_SLOTS),
        "JOBYARD_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    with open_yard(
        directory, replicas={"dispatcher": 2}, procfile=procfile, environment=environment, given=make_ledger()
    ) as yard:
        yield FailingYard(yard.client, yard.gates, yard.stack, faults)
