"""The guide's design as a contender."""

from typing import ClassVar

import redis

from tests.bench.contender import Contender
from tests.bench.orders import Dialect


class Naive(Contender):
    """Is FastAPI with `task.delay()`, a Celery worker and a Redis result backend, configured as in the guide."""

    name: ClassVar[str] = "guide"
    health_path: ClassVar[str] = "/health"
    submit_path: ClassVar[str] = "/jobs"
    submit_status: ClassVar[int] = 200
    dialect: ClassVar[Dialect] = Dialect(
        id_field="task_id",
        state_field="state",
        succeeded="SUCCESS",
        unfinished=["PENDING", "STARTED"],
        status_path="/jobs/{}",
    )

    def environment(self) -> dict[str, str]:
        return {"NAIVE_BROKER_URL": self._url(0), "NAIVE_RESULT_URL": self._url(1)}

    def front_arguments(self) -> list[str]:
        app, options = "tests.bench.naive.front:app", ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        return ["-m", "uvicorn", app, "--port", str(self.port), *options]

    def behind_arguments(self) -> dict[str, list[str]]:
        concurrency = f"--concurrency={self.plan.worker_concurrency}"
        return {"worker": ["-m", "celery", "-A", "tests.bench.naive.tasks", "worker", "--loglevel=INFO", concurrency]}

    def services(self) -> dict[str, int]:
        return {"redis": self.redis.pid}

    def count_finished(self) -> int:
        # Every result is a key of this database, and nothing else is.
        with redis.Redis.from_url(self._url(1)) as client:
            return int(client.dbsize())

    def start_counting(self) -> None:
        pass

    def drop_backlog(self) -> None:
        with redis.Redis.from_url(self._url(0)) as client:
            client.delete("celery")

    def sign_in(self) -> None:
        pass

    def _url(self, database: int) -> str:
        return f"{self.redis.url.rpartition('/')[0]}/{database}"
