"""What both contenders are: a front, programs behind it, services, and a way of speaking."""

import socket
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar

from ops.leash import Leash
from ops.ports import LOOPBACK, free_port
from ops.redis import LocalRedis
from tests.bench.http_client import request_bytes
from tests.bench.orders import Dialect
from tests.bench.plan import Plan
from tests.bench.programs import Program, cpu_seconds, stop_all

START_SECONDS = 30.0
PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.002
_COUNT_SECONDS = 0.02


class NotReady(RuntimeError):
    """Says that something did not come about in time."""


class Contender(ABC):
    """Is one of the two designs, with a Redis of its own so that its cost can be told apart."""

    name: ClassVar[str]
    health_path: ClassVar[str]
    submit_status: ClassVar[int]
    submit_path: ClassVar[str]
    submit_body: ClassVar[bytes] = b""
    can_wait: ClassVar[bool] = False
    dialect: ClassVar[Dialect]

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.plan = plan
        self.leash = leash
        self.port = free_port()
        self.headers: dict[str, str] = {}
        self.front: Program | None = None
        self.behind: dict[str, Program] = {}
        self.redis = LocalRedis(directory / "redis", port=free_port(), leash=leash)
        stack.callback(self.redis.remove)
        self.redis.start()
        # Entered last, so it leaves first: programs stop before their services.
        stack.callback(self.stop)

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Give the variables of the programs."""

    @abstractmethod
    def front_arguments(self) -> list[str]:
        """Give the interpreter's arguments that run the front."""

    @abstractmethod
    def behind_arguments(self) -> dict[str, list[str]]:
        """Give the same of each program behind the front, by name."""

    @abstractmethod
    def services(self) -> dict[str, int]:
        """Name the services with their process ids."""

    @abstractmethod
    def count_finished(self) -> int:
        """Count the jobs that ever succeeded."""

    @abstractmethod
    def start_counting(self) -> None:
        """Prepare for a measurement, so that counting stays cheap."""

    @abstractmethod
    def drop_backlog(self) -> None:
        """Forget the jobs that wait, while nothing is there to run them."""

    @abstractmethod
    def sign_in(self) -> None:
        """Set the headers that requests need."""

    def submit_request(self, *, wait: int | None = None) -> str:
        """Write the request that submits a no-op."""
        prefer = {} if wait is None else {"Prefer": f"wait={wait}"}
        headers = {"Content-Type": "application/json"} | self.headers | prefer
        return request_bytes("POST", self.submit_path, headers, self.submit_body).decode()

    def status_request(self, job_id: str) -> str:
        """Write the request for a job's status."""
        return request_bytes("GET", self.dialect.status_path.format(job_id), self.headers).decode()

    def start_front(self, *interpreter_options: str) -> float:
        """Start the front and give the seconds until its health route answered 200."""
        started = time.perf_counter()
        arguments = [*interpreter_options, *self.front_arguments()]
        self.front = Program(arguments, self.environment(), self.directory / "web.log", self.leash)
        while not answers(self.port, self.health_path):
            self.front.require_alive()
            if time.perf_counter() - started > START_SECONDS:
                raise NotReady(f"{self.name}: the front is not ready, see {self.front.log}")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - started

    def stop_front(self) -> None:
        """Stop the front."""
        if self.front is not None:
            self.front.stop()
            self.front = None

    def start_behind(self) -> None:
        """Start what runs the jobs."""
        for name, arguments in self.behind_arguments().items():
            self.behind[name] = Program(arguments, self.environment(), self.directory / f"{name}.log", self.leash)

    def stop(self) -> None:
        """Stop all programs, not the services."""
        stop_all(self.behind.values())
        self.behind.clear()
        self.stop_front()

    def running_front(self) -> Program:
        """Give the front; raises when it died."""
        if self.front is None:
            raise NotReady(f"{self.name}: the front was not started")
        self.front.require_alive()
        return self.front

    def cpu_by_part(self) -> dict[str, float]:
        """Take the CPU seconds that each program and service has used so far."""
        programs = {"web": self.running_front()} | self.behind
        for program in programs.values():
            program.require_alive()
        pids = {name: program.pid for name, program in programs.items()} | self.services()
        return {name: cpu_seconds(pid) for name, pid in pids.items()}

    def wait_finished(self, count: int) -> None:
        """Wait until so many jobs have succeeded."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (finished := self.count_finished()) < count:
            for program in self.behind.values():
                program.require_alive()
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name}: {finished} of {count} jobs are done; logs are in {self.directory}")
            time.sleep(_COUNT_SECONDS)

    def suspend_behind(self) -> None:
        """Freeze what runs the jobs, so that a backlog grows."""
        for program in self.behind.values():
            program.suspend()

    def resume_behind(self) -> None:
        """Let it run again."""
        for program in self.behind.values():
            program.resume()


def answers(port: int, path: str) -> bool:
    """Tell whether a GET on the loopback interface is answered with 200."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as client:
        client.sendall(request_bytes("GET", path, {"Connection": "close"}))
        return client.recv(64).startswith(b"HTTP/1.1 200")
    return False
