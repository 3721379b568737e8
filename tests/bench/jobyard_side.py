"""Jobyard as a contender."""

import secrets
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import psycopg

from ops.leash import Leash
from ops.paths import ROOT
from ops.ports import LOOPBACK, free_port
from ops.postgres import LocalPostgres
from tests.bench.contender import Contender
from tests.bench.orders import Dialect
from tests.bench.plan import Plan
from tests.bench.programs import cpu_seconds, inherited_environment

_DATABASE = "bench"
_DROP_BACKLOG = "UPDATE jobs SET state = 'cancelled', finished_at = clock_timestamp() WHERE state = 'queued'"
# By the index on finished_at, so that counting costs the same however many jobs there are from before.
_COUNT = "SELECT count(*) FROM jobs WHERE finished_at >= %s AND state = 'succeeded'"


class Jobyard(Contender):
    """Is this repository as its Procfile runs it, with a PostgreSQL that syncs every commit to disk."""

    name: ClassVar[str] = "jobyard"
    health_path: ClassVar[str] = "/health/ready"
    submit_path: ClassVar[str] = "/v1/jobs"
    submit_body: ClassVar[bytes] = b'{"kind": "bench.noop", "input": {}}'
    submit_status: ClassVar[int] = 202
    can_wait: ClassVar[bool] = True
    dialect: ClassVar[Dialect] = Dialect(
        id_field="id",
        state_field="state",
        succeeded="succeeded",
        unfinished=["scheduled", "queued", "running"],
        status_path="/v1/jobs/{}",
    )

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack) -> None:
        self.postgres = LocalPostgres(directory / "postgres", port=free_port(), leash=leash)
        stack.callback(self.postgres.remove)
        self.postgres.start()
        self.postgres.drop_database(_DATABASE)
        self._database_url = self.postgres.create_database(_DATABASE)
        self._secret = secrets.token_urlsafe(48)
        super().__init__(directory, plan, leash, stack)
        command = [sys.executable, "-m", "shared.migrations"]
        subprocess.run(command, cwd=ROOT, env=inherited_environment() | self.environment(), check=True)
        self.own: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(self._database_url, autocommit=True)
        stack.callback(self.own.close)
        self._counted_before, self._count_from = 0, datetime.now(UTC)

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self._database_url,
            "REDIS_URL": self.redis.url,
            "JOBYARD_ENVIRONMENT": "production",
            "JOBYARD_SECRET_KEY": self._secret,
            "JOBYARD_HOST": LOOPBACK,
            "JOBYARD_PORT": str(self.port),
            "JOBYARD_STORAGE_DIR": str(self.directory / "storage"),
            "JOBYARD_ACCESS_TOKEN_MINUTES": "60",
            "JOBYARD_JOB_MODULES": "worker.jobs,tests.bench.kinds",
            "JOBYARD_WORKER_CONCURRENCY": str(self.plan.worker_concurrency),
        }

    def front_arguments(self) -> list[str]:
        return ["-m", "api"]

    def behind_arguments(self) -> dict[str, list[str]]:
        options = ["--without-gossip", "--without-mingle", "--task-events", "--loglevel=INFO"]
        return {
            "dispatcher": ["-m", "worker.dispatcher"],
            "worker": ["-m", "celery", "-A", "worker.main", "worker", *options],
        }

    def services(self) -> dict[str, int]:
        return {"postgres": self.postgres.pid, "redis": self.redis.pid}

    def cpu_by_part(self) -> dict[str, float]:
        parts = super().cpu_by_part()
        # What the harness asks of PostgreSQL is not Jobyard's work.
        parts["postgres"] -= cpu_seconds(self.own.info.backend_pid)
        return parts

    def count_finished(self) -> int:
        row = self.own.execute(_COUNT, (self._count_from,), prepare=True).fetchone()
        return self._counted_before + (int(row[0]) if row else 0)

    def drop_backlog(self) -> None:
        """Cancel what waits; the table keeps these rows as the history that any real one has."""
        self.own.execute(_DROP_BACKLOG)
        self.own.execute("VACUUM (ANALYZE) jobs, job_attempts")

    def start_counting(self) -> None:
        self._counted_before = self.count_finished()
        self._count_from = datetime.now(UTC)

    def sign_in(self) -> None:
        if self.headers:
            return
        account = {"email": "bench@example.com", "password": secrets.token_urlsafe(24)}
        with httpx2.Client(base_url=f"http://{LOOPBACK}:{self.port}/v1/auth", trust_env=False) as client:
            client.post("/register", json=account).raise_for_status()
            answer = client.post("/login", json=account).raise_for_status()
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
