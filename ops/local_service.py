"""What the local PostgreSQL and Redis share: a server as a foreground child that owns one directory."""

import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from ops.leash import SERVICE_RANK, Command, Hold, Leash
from ops.leftovers import end_leftover
from ops.ports import choose_port, free_port, is_free

_POLL_SECONDS = 0.02
_READY_SECONDS = 60.0
_STARTS = 4
_TAIL_LINES = 8


class ServiceFailed(RuntimeError):
    """A local service could not be installed, started or reached; the message says why in words."""


class LocalService(ABC):
    """A server that can be started, stopped, killed from outside and started again on the same port.

    It dies with this process. Without `port` the default one is taken when free, else a free one.
    """

    name: ClassVar[str]
    default_port: ClassVar[int]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    grace: ClassVar[float] = 5.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        leash: Leash | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.log = self.directory / f"{self.name}.log"
        self._pid_file = self.directory / f"{self.name}.pid"
        self._port = port
        self._port_is_known = port is not None
        self._own_leash = leash is None
        self._leash = leash
        self._stopping = stopping or threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach the server, password included; known after the first launch."""

    @property
    @abstractmethod
    def marker(self) -> str:
        """What only this server's command line contains, so that a leftover one is recognised."""

    @abstractmethod
    def prepare(self) -> Command:
        """Make everything the server needs and return the command that runs it on `self.port`."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether our server, and not another on the same port, answers."""

    @property
    def port(self) -> int:
        """The port, chosen at first use."""
        if self._port is None:
            self._port = choose_port(self.default_port)
        return self._port

    @property
    def pid(self) -> int:
        """The server's process id, for tests that kill or freeze it. Raises ServiceFailed when it was never started."""
        if self._child is None:
            raise ServiceFailed(f"{self.name} has not been started")
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether the child process exists."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> str:
        """Start the server unless it runs, wait until it answers and return its URL. Raises ServiceFailed."""
        self.launch()
        return self.wait_ready()

    def launch(self) -> None:
        """Start the server without waiting for it."""
        if self.is_running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self._release()
        end_leftover(self._pid_file, self.marker, self.stop_signal)
        self._spawn()

    def wait_ready(self, seconds: float = _READY_SECONDS) -> str:
        """Wait until the server answers and return its URL; one that dies is started anew a few times."""
        deadline = time.monotonic() + seconds
        starts = 1
        while not self.is_ready():
            if not self.is_running:
                if starts == _STARTS:
                    raise ServiceFailed(f"{self.name} does not start; {self.log} ends with:\n{self.log_tail()}")
                starts += 1
                self._start_again()
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{self.name} did not answer within {seconds:.0f} s; see {self.log}")
            if self._stopping.wait(_POLL_SECONDS):
                raise ServiceFailed(f"{self.name}: stopped while starting")
        self._port_is_known = True
        return self.url

    def stop(self, grace: float | None = None) -> None:
        """Stop the server: politely, then for good after `grace` seconds; one that does not run is left so."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            # A frozen (SIGSTOP) server would not hear the polite signal.
            for number in (self.stop_signal, signal.SIGCONT):
                child.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                child.wait(self.grace if grace is None else grace)
        self.kill()
        self._release()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._child is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        return "(no log)"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_again(self) -> None:
        # A port that others already use as ours stays; a port nobody knows yet may be exchanged.
        if not self._port_is_known and not is_free(self.port):
            self._port = free_port()
        self._release()
        self._spawn()

    def _spawn(self) -> None:
        command = self.prepare()
        if self._leash is None:
            self._leash = Leash()
        with self.log.open("ab") as log:
            try:
                hold = Hold(SERVICE_RANK, self.stop_signal, self.grace)
                self._child = self._leash.spawn(command, log, hold)
            except OSError as error:
                raise ServiceFailed(f"{self.name}: cannot run {command.arguments[0]}: {error.strerror}") from error
        self._pid_file.write_text(f"{self._child.pid}\n")

    def _release(self) -> None:
        if self._child is None:
            return
        self._child.wait()
        self._pid_file.unlink(missing_ok=True)
        if self._leash is not None:
            self._leash.release(self._child.pid)
            if self._own_leash:
                self._leash.close()
                self._leash = None
        self._child = None
