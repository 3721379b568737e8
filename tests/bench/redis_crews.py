"""Crews whose jobs are kept in Redis alone: the guide's Celery, and dramatiq."""

from contextlib import ExitStack
from typing import Any, ClassVar

import redis

from tests.bench.crew import Crew


class _RedisCrew(Crew):
    def prepare(self, stack: ExitStack) -> None:
        self._server = self.start_redis(stack)
        self._client: redis.Redis = stack.enter_context(redis.Redis.from_url(self.url(0)))

    def services(self) -> dict[str, int]:
        return {"redis": self._server.pid}

    def tidy(self) -> None:
        """Nothing: Redis rewrites its file when that has doubled, whenever that is."""

    def url(self, database: int) -> str:
        return f"{self._server.url.rpartition('/')[0]}/{database}"


class GuideCrew(_RedisCrew):
    """Is Celery with a Redis result backend, configured as in the guide. Durable as far as Redis is."""

    name: ClassVar[str] = "guide"

    def __init__(self, *arguments: Any) -> None:
        self._filled = 0
        super().__init__(*arguments)

    def environment(self) -> dict[str, str]:
        return {"NAIVE_BROKER_URL": self.url(0), "NAIVE_RESULT_URL": self.url(1)}

    def arguments(self) -> dict[str, list[str]]:
        options = ["worker", "--loglevel=INFO", f"--concurrency={self.slots}"]
        return {"worker": ["-m", "celery", "-A", "tests.bench.naive.tasks", *options]}

    def fill(self, count: int, bell: str = "") -> None:
        self._filled += count
        super().fill(count, bell)

    def count_unfinished(self) -> int:
        # Each result is a key of this database. With `track_started` it appears when the job starts: the last one's end
        # is missed, a millisecond in the rival's favour.
        with redis.Redis.from_url(self.url(1)) as results:
            return self._filled - int(results.dbsize())


class DramatiqCrew(_RedisCrew):
    """Is dramatiq: one thread in each of its worker processes."""

    name: ClassVar[str] = "dramatiq"

    def environment(self) -> dict[str, str]:
        return {"RIVAL_REDIS_URL": self.url(0)}

    def arguments(self) -> dict[str, list[str]]:
        options = [f"--processes={self.slots}", "--threads=1"]
        return {"worker": ["-m", "dramatiq", "tests.bench.rivals.dramatiq_noop", *options]}

    def count_unfinished(self) -> int:
        # The hash holds every message until it is acknowledged.
        return int(self._client.hlen("dramatiq:default.msgs"))
