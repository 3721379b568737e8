"""The guide's Celery application: Redis as broker and as result backend, and a task that does nothing."""

import os
from typing import Any

from celery import Celery

from tests.bench.bell import ring

app = Celery("naive", broker=os.environ["NAIVE_BROKER_URL"], backend=os.environ["NAIVE_RESULT_URL"])
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    result_serializer="json",
    timezone="UTC",
    enable_utc=True,
    task_track_started=True,
    task_time_limit=30 * 60,
    worker_disable_rate_limits=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


def do_nothing(bell: str = "") -> dict[str, str]:
    """Do nothing."""
    ring(bell)
    return {"status": "completed"}


noop: Any = app.task(name="naive.noop")(do_nothing)
