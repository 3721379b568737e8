"""The faults: what each breaks, and that it is whole again (or is being restarted by its supervisor) afterwards."""

import os
import random
import shutil
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from threading import Event

import psutil
import redis

from ops.stack import Stack
from ops.supervisor import ProgramNotRunning

DISPATCHER_LEASE_SECONDS = 10.0


class FaultImpossible(Exception):
    """Says that there is nothing to break at the moment, such as a program that is only being restarted."""


class Faults:
    """Causes faults in a stack; `choice` decides the details, `stop` cuts waits inside a fault short."""

    def __init__(self, stack: Stack, choice: random.Random, stop: Event, lease_seconds: float) -> None:
        self._stack = stack
        self._choice = choice
        self._stop = stop
        self._lease_seconds = lease_seconds

    def bag(self) -> list[Callable[[], None]]:
        """Give the faults, the more likely ones more than once; each method's name says what it does."""
        often = [self.kill_child, self.kill_dispatcher, self.kill_web]
        rare = [
            self.kill_worker,
            self.stop_worker,
            self.freeze_child,
            self.freeze_dispatcher,
            self.flush_redis,
            self.freeze_redis,
            self.restart_redis,
            self.restart_postgres,
        ]
        return often * 3 + rare

    def kill_child(self) -> None:
        """SIGKILL a child of the worker."""
        os.kill(self._any_child(), signal.SIGKILL)

    def kill_worker(self) -> None:
        """SIGKILL the worker with all its children."""
        self._signal("worker", signal.SIGKILL)

    def stop_worker(self) -> None:
        """SIGTERM the worker: it puts back what it runs."""
        with _present():
            os.kill(self._stack.supervisor.pid("worker"), signal.SIGTERM)

    def freeze_child(self) -> None:
        """SIGSTOP a child of the worker for longer than the lease, then SIGCONT."""
        child = self._any_child()
        os.kill(child, signal.SIGSTOP)
        self._stop.wait(self._lease_seconds * self._choice.uniform(1.3, 2.0))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)

    def kill_dispatcher(self) -> None:
        """SIGKILL one of the two dispatchers."""
        self._signal(self._any_dispatcher(), signal.SIGKILL)

    def freeze_dispatcher(self) -> None:
        """SIGSTOP one of the two dispatchers for longer than its lease, then SIGCONT."""
        name = self._any_dispatcher()
        with _present():
            pid = self._stack.supervisor.pid(name)
            os.kill(pid, signal.SIGSTOP)
        self._stop.wait(DISPATCHER_LEASE_SECONDS * self._choice.uniform(1.1, 1.5))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    def kill_web(self) -> None:
        """SIGKILL web."""
        self._signal("web", signal.SIGKILL)

    def flush_redis(self) -> None:
        """FLUSHALL."""
        with suppress(redis.RedisError), redis.Redis.from_url(self._stack.endpoints.redis_url) as broker:
            broker.flushall()

    def freeze_redis(self) -> None:
        """SIGSTOP Redis for some seconds, then SIGCONT."""
        service = self._stack.redis
        if service is None or not service.is_running:
            raise FaultImpossible
        os.kill(service.pid, signal.SIGSTOP)
        self._stop.wait(self._choice.uniform(2.0, 8.0))
        os.kill(service.pid, signal.SIGCONT)

    def restart_redis(self) -> None:
        """SIGKILL Redis and start it again, every other time without what it had stored."""
        service = self._stack.redis
        if service is None:
            raise FaultImpossible
        service.kill()
        if self._choice.random() < 0.5:
            for store in service.directory.glob("store-*"):
                shutil.rmtree(store)
        self._stop.wait(self._choice.uniform(0.0, 3.0))
        service.start()

    def restart_postgres(self) -> None:
        """SIGKILL PostgreSQL and start it again."""
        service = self._stack.postgres
        if service is None:
            raise FaultImpossible
        service.kill()
        self._stop.wait(self._choice.uniform(0.0, 3.0))
        service.start()

    def _any_child(self) -> int:
        with _present():
            leader = psutil.Process(self._stack.supervisor.pid("worker"))
            children = sorted(child.pid for child in leader.children())
            if children:
                return self._choice.choice(children)
        raise FaultImpossible

    def _any_dispatcher(self) -> str:
        names = [name for name in self._stack.supervisor.names if name.startswith("dispatcher")]
        return self._choice.choice(names)

    def _signal(self, name: str, number: signal.Signals) -> None:
        with _present():
            os.killpg(self._stack.supervisor.pid(name), number)


@contextmanager
def _present() -> Generator[None]:
    # A program may just have ended, by an earlier fault.
    try:
        yield
    except (ProgramNotRunning, psutil.NoSuchProcess, ProcessLookupError) as error:
        raise FaultImpossible from error
