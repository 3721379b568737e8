"""A whole Jobyard on one machine: services, migrations and the Procfile's programs, started and stopped in order."""

import os
import threading
import time
from collections.abc import Collection, Mapping
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

from ops.api_client import get_status
from ops.checkout_lock import CheckoutLock
from ops.credentials import load_credentials
from ops.endpoints import Endpoints, choose_endpoints
from ops.leash import Leash
from ops.migrate import upgrade
from ops.output import LogFiles, Output
from ops.paths import ROOT
from ops.ports import free_port
from ops.postgres import LocalPostgres
from ops.procfile import choose_programs, read_procfile
from ops.redis import LocalRedis
from ops.supervisor import Supervisor

_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.5
_REDIS_GRACE, _POSTGRES_GRACE = 0.5, 1.5


class StackFailed(RuntimeError):
    """The stack did not become ready; the message holds the reason and the last lines of the culprit's log."""


class Stack:
    """Everything that `make up` runs.

    `given` holds variables by name: a DATABASE_URL, REDIS_URL or SMTP_URL there is used instead of a service of
    our own. `only` and `replicas` choose programs, `environment` adds to what all of them get. With `usual_ports` the
    services listen where everybody looks for them, if they can; without, nobody else takes a port while its service is
    down.
    """

    def __init__(
        self,
        var: Path,
        *,
        given: Mapping[str, str] | None = None,
        procfile: Path = ROOT / "Procfile",
        only: Collection[str] | None = None,
        replicas: Mapping[str, int] | None = None,
        environment: Mapping[str, str] | None = None,
        output: Output | None = None,
        restart: bool = True,
        fsync: bool = True,
        usual_ports: bool = True,
    ) -> None:
        self._var = var.absolute()
        self._given = dict(given or {})
        self._programs = choose_programs(read_procfile(procfile), only, replicas)
        self._environment = dict(environment or {})
        self._output = output or LogFiles(self._var / "log")
        self._restart = restart
        self._fsync = fsync
        self._usual_ports = usual_ports
        self.stopping = threading.Event()
        self._lock: CheckoutLock | None = None
        self._leash: Leash | None = None
        self._endpoints: Endpoints | None = None
        self.postgres: LocalPostgres | None = None
        self.redis: LocalRedis | None = None
        self._supervisor: Supervisor | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is reached. Raises StackFailed before the start."""
        if self._endpoints is None:
            raise StackFailed("the stack has not been started")
        return self._endpoints

    @property
    def supervisor(self) -> Supervisor:
        """What runs the programs. Raises StackFailed before the start."""
        if self._supervisor is None:
            raise StackFailed("the stack has not been started")
        return self._supervisor

    def start(self) -> Endpoints:
        """Start everything and return when the API says that it is ready.

        Raises CheckoutBusy, ServiceFailed, StackFailed; `stop` has to be called all the same.
        """
        self._make_var()
        lock = CheckoutLock(self._var)
        lock.acquire()
        self._lock = lock
        self._leash = Leash(keep_open=lock.descriptor)
        database_url, redis_url = self._start_services(self._leash)
        self._check_stopping()
        upgrade(database_url)
        credentials = load_credentials(self._var / "credentials.json")
        self._endpoints = choose_endpoints(
            self._var, self._given, credentials, database_url=database_url, redis_url=redis_url
        )
        self._endpoints.save(self._var / "endpoints.json")
        self._check_stopping()
        self._start_programs(self._endpoints, self._leash)
        self._wait_ready(self._endpoints)
        return self._endpoints

    def wait(self) -> None:
        """Block until `stopping` is set; a service of ours that dies meanwhile is started again."""
        services = [service for service in (self.postgres, self.redis) if service is not None]
        while not self.stopping.wait(_WATCH_SECONDS):
            for service in services:
                if not service.is_running:
                    print(f"{service.name} has ended; starting it again", flush=True)
                    service.start()

    def stop(self) -> None:
        """Stop the programs, then the services, within ten seconds; the order is what loses no job."""
        if self._supervisor is not None:
            self._supervisor.stop()
        if self.redis is not None:
            self.redis.stop(_REDIS_GRACE)
        if self.postgres is not None:
            self.postgres.stop(_POSTGRES_GRACE)
        if self._leash is not None:
            self._leash.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def kill(self) -> None:
        """End every program at once; `stop`, which must run or follow, ends the services."""
        self.stopping.set()
        if self._supervisor is not None:
            self._supervisor.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_services(self, leash: Leash) -> tuple[str, str]:
        if "REDIS_URL" not in self._given:
            port = None if self._usual_ports else free_port()
            self.redis = LocalRedis(self._var / "redis", port=port, leash=leash, stopping=self.stopping)
            self.redis.launch()
        if "DATABASE_URL" not in self._given:
            port = None if self._usual_ports else free_port()
            self.postgres = LocalPostgres(
                self._var / "postgres", port=port, leash=leash, stopping=self.stopping, fsync=self._fsync
            )
            self.postgres.start()
        # Redis has loaded its file while PostgreSQL started.
        redis_url = self.redis.wait_ready() if self.redis else self._given["REDIS_URL"]
        return (self.postgres.url if self.postgres else self._given["DATABASE_URL"]), redis_url

    def _start_programs(self, endpoints: Endpoints, leash: Leash) -> None:
        programs = [program for program in self._programs if endpoints.mailbox_dir or program.name != "mailbox"]
        health_file = self._given.get("JOBYARD_WORKER_HEALTH_FILE", str(self._var / "worker-health.json"))
        self._supervisor = Supervisor(
            programs,
            {**endpoints.environment(), "JOBYARD_WORKER_HEALTH_FILE": health_file, **self._environment},
            self._output,
            leash=leash,
            restart=self._restart,
        )
        self._supervisor.start()

    def _wait_ready(self, endpoints: Endpoints) -> None:
        if "web" not in self.supervisor.names:
            return
        deadline = time.monotonic() + _READY_SECONDS
        while get_status(f"{endpoints.api_url}/health/ready") != HTTPStatus.OK:
            if (failure := self.supervisor.first_failure()) is not None:
                raise StackFailed(failure)
            if time.monotonic() > deadline:
                raise StackFailed(f"web is not ready after {_READY_SECONDS:.0f} s; see {endpoints.log_dir}")
            if self.stopping.wait(_POLL_SECONDS):
                raise StackFailed("stopped while starting")

    def _make_var(self) -> None:
        self._var.mkdir(parents=True, exist_ok=True)
        # Uploads and logs are nobody else's business; root's PostgreSQL runs as another account, which passes through.
        self._var.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for private in ("log", "redis", "storage"):
            (self._var / private).mkdir(mode=0o700, exist_ok=True)

    def _check_stopping(self) -> None:
        if self.stopping.is_set():
            raise StackFailed("stopped while starting")
