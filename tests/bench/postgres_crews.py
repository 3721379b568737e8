"""Crews whose jobs are kept in PostgreSQL: procrastinate, and Jobyard."""

import secrets
from contextlib import ExitStack
from typing import Any, ClassVar, LiteralString

import psycopg

from ops.ports import LOOPBACK, free_port
from ops.postgres import LocalPostgres
from shared.settings import Settings
from tests.bench.crew import Crew
from tests.bench.ledger_rows import add_owners, fill_ledger, wake_dispatcher
from tests.bench.programs import cpu_seconds

_DATABASE = "bench"


class _PostgresCrew(Crew):
    def prepare(self, stack: ExitStack) -> None:
        self._server = LocalPostgres(self.directory / "postgres", port=free_port(), leash=self._leash)
        stack.callback(self._server.remove)
        self._server.start()
        self._server.drop_database(_DATABASE)
        self.database_url = self._server.create_database(_DATABASE)
        self.connection: psycopg.Connection[Any] = psycopg.connect(self.database_url, autocommit=True)
        stack.callback(self.connection.close)

    def services(self) -> dict[str, int]:
        return {"postgres": self._server.pid}

    def harness_seconds(self) -> float:
        return cpu_seconds(self.connection.info.backend_pid)

    def tidy(self) -> None:
        self.connection.execute("VACUUM (ANALYZE)")

    def number(self, statement: LiteralString) -> int:
        """Ask for one number."""
        row = self.connection.execute(statement, prepare=True).fetchone()
        return int(row[0]) if row is not None else 0


class ProcrastinateCrew(_PostgresCrew):
    """Is procrastinate: worker processes with one slot each."""

    name: ClassVar[str] = "procrastinate"

    def prepare(self, stack: ExitStack) -> None:
        super().prepare(stack)
        self.run_module("procrastinate", "--app=tests.bench.rivals.procrastinate_noop.app", "schema", "--apply")

    def environment(self) -> dict[str, str]:
        return {"RIVAL_DATABASE_URL": self.database_url}

    def arguments(self) -> dict[str, list[str]]:
        command = ["-m", "procrastinate", "--app=tests.bench.rivals.procrastinate_noop.app", "worker"]
        return {f"worker-{number}": [*command, "--concurrency=1"] for number in range(1, self.slots + 1)}

    def count_unfinished(self) -> int:
        return self.number("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")


class JobyardCrew(_PostgresCrew):
    """Is Jobyard: its dispatcher and one worker with children, which send events for Flower."""

    name: ClassVar[str] = "jobyard"

    def prepare(self, stack: ExitStack) -> None:
        super().prepare(stack)
        self.redis = self.start_redis(stack)
        self.secret = secrets.token_urlsafe(48)
        self.run_module("shared.migrations")
        self.owners = add_owners(self.connection, 1)

    def services(self) -> dict[str, int]:
        return super().services() | {"redis": self.redis.pid}

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis.url,
            "JOBYARD_ENVIRONMENT": "production",
            "JOBYARD_SECRET_KEY": self.secret,
            "JOBYARD_HOST": LOOPBACK,
            "JOBYARD_STORAGE_DIR": str(self.directory / "storage"),
            "JOBYARD_WORKER_HEALTH_FILE": str(self.directory / "worker-health.json"),
            "JOBYARD_JOB_MODULES": "worker.jobs,tests.bench.kinds",
            "JOBYARD_WORKER_CONCURRENCY": str(self.slots),
        }

    def settings(self) -> Settings:
        """Give settings of this crew's services, for what runs in the harness itself."""
        given = {"database_url": self.database_url, "redis_url": self.redis.url, "secret_key": self.secret}
        return Settings.model_validate(given)

    def arguments(self) -> dict[str, list[str]]:
        options = ["--without-gossip", "--without-mingle", "--task-events", "--loglevel=INFO"]
        return {
            "dispatcher": ["-m", "worker.dispatcher"],
            "worker": ["-m", "celery", "-A", "worker.main", "worker", *options],
        }

    def fill(self, count: int, bell: str = "") -> None:
        fill_ledger(self.connection, self.owners, count, bell)
        wake_dispatcher(self.connection)

    def count_unfinished(self) -> int:
        return self.number("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')")
