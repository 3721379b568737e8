"""A crew: the programs that run a library's jobs, the services they need, and a way to fill their queue."""

import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from ops.leash import Leash
from ops.paths import ROOT
from ops.ports import free_port
from ops.redis import LocalRedis
from tests.bench.contender import PATIENCE_SECONDS, NotReady
from tests.bench.programs import Program, cpu_seconds, inherited_environment, stop_all

_LOOK_SECONDS = 0.005


class Crew(ABC):
    """Is one of the libraries that are compared; only services run until `start`."""

    name: ClassVar[str]

    def __init__(self, directory: Path, slots: int, leash: Leash, stack: ExitStack) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.slots = slots
        self._leash = leash
        self.programs: dict[str, Program] = {}
        self.prepare(stack)
        # Entered last, so it leaves first: programs stop before their services.
        stack.callback(self.stop)

    @abstractmethod
    def prepare(self, stack: ExitStack) -> None:
        """Start the services; `stack` stops and removes them."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Give the variables of the programs."""

    @abstractmethod
    def arguments(self) -> dict[str, list[str]]:
        """Give the interpreter's arguments of each program, by name."""

    @abstractmethod
    def services(self) -> dict[str, int]:
        """Name the services with their process ids."""

    @abstractmethod
    def count_unfinished(self) -> int:
        """Count the jobs that are not at their end, as the library itself keeps them; cheap."""

    def fill(self, count: int, bell: str = "") -> None:
        """Enqueue no-ops, of which the first and the last ring."""
        self.run_module("tests.bench.fill", self.name, str(count), bell)

    @abstractmethod
    def tidy(self) -> None:
        """Do what a database would do by itself in a quiet moment, so that it does not do it in between."""

    def harness_seconds(self) -> float:
        """Give the CPU time of a service that went into our own questions."""
        return 0.0

    def start(self) -> None:
        """Start the programs."""
        for name, arguments in self.arguments().items():
            self.start_one(name, arguments)

    def start_one(self, name: str, arguments: list[str]) -> Program:
        """Start one program."""
        program = Program(arguments, self.environment(), self.directory / f"{name}.log", self._leash)
        self.programs[name] = program
        return program

    def stop(self) -> None:
        """Stop the programs, not the services."""
        self.resume()
        stop_all(self.programs.values())
        self.programs.clear()

    def suspend(self) -> None:
        """Freeze the programs."""
        for program in self.programs.values():
            program.suspend()

    def resume(self) -> None:
        """Let them run again."""
        for program in self.programs.values():
            program.resume()

    def cpu_seconds(self) -> float:
        """Take the CPU time that the programs and services have used so far, without our own questions."""
        for program in self.programs.values():
            program.require_alive()
        pids = [program.pid for program in self.programs.values()] + list(self.services().values())
        return sum(map(cpu_seconds, pids)) - self.harness_seconds()

    def wait_finished(self) -> None:
        """Wait until no job is left. Raises `NotReady`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := self.count_unfinished():
            for program in self.programs.values():
                program.require_alive()
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name}: {left} jobs are not done; logs are in {self.directory}")
            time.sleep(_LOOK_SECONDS)

    def run_module(self, *arguments: str) -> None:
        """Run a module to its end, in the programs' environment."""
        command = [sys.executable, "-m", *arguments]
        subprocess.run(command, cwd=ROOT, env=inherited_environment() | self.environment(), check=True)

    def start_redis(self, stack: ExitStack) -> LocalRedis:
        """Start a Redis of the crew's own."""
        server = LocalRedis(self.directory / "redis", port=free_port(), leash=self._leash)
        stack.callback(server.remove)
        server.start()
        return server
