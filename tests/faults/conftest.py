"""A whole Jobyard of real processes, with a short lease so that a rescue is soon."""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from ops.paths import ROOT
from ops.ports import free_port
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
PROGRAMS = ("web", "dispatcher", "worker", "flower")


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
            directory / "var",
            given=given,
            procfile=procfile,
            only=only,
            replicas=replicas,
            environment=complete,
            usual_ports=False,
        ) as stack,
        httpx2.Client(base_url=stack.endpoints.api_url, timeout=40) as client,
    ):
        client.post("/v1/auth/register", json=ACCOUNT).raise_for_status()
        sign_in(client, ACCOUNT)
        yield Yard(client, gates, stack)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Run a Jobyard for a module's tests."""
    with open_yard(tmp_path_factory.mktemp("yard")) as yard:
        yield yard
