"""Celery as a disposable execution layer: one task per kind, no results, nothing kept that the ledger knows better.

The numbers below bound how long a frozen or half-open Redis can hold a process up; see docs/decisions.
"""

import sys
from typing import Any, cast

from celery import Celery, signals
from kombu.entity import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from shared.job_kind import QUEUES, JobKind, load_job_kinds
from shared.logs import configure_logging
from shared.memory_cap import cap_memory
from shared.settings import Settings, environment_name, get_settings
from worker.dkim_signing import DkimKeyNotUsable, Signers
from worker.presence import connect_presence
from worker.publisher import ORDINARY, URGENT
from worker.runner import JobFailed, Runner
from worker.schedules import TICK_TASK

HARD_LIMIT_GRACE_SECONDS = 10

BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_timeout": 5,
    "socket_connect_timeout": 0.5,
    "health_check_interval": 10,
    "socket_keepalive": True,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "priority_steps": [URGENT, ORDINARY],
}


def create_celery_app(settings: Settings | None = None) -> Celery:
    """Make the Celery application with a task for each kind of job."""
    settings = settings or get_settings()
    # By name and not as `broker_transport`, whose value would take the place of redis:// in every URL that is shown.
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "worker.redis_transport:Transport"))
    app = Celery("jobyard", broker=settings.redis_url, set_as_current=True)
    app.conf.update(_configuration(settings))
    kinds = load_job_kinds(settings.job_modules)
    app.conf.task_routes = {TICK_TASK: {"queue": "maintenance"}} | {
        kind.name: {"queue": kind.queue} for kind in kinds.values()
    }
    runner = Runner(settings, kinds)
    for kind in kinds.values():
        _add_task(app, runner, kind)
    _add_tick(app, runner)
    _connect_signals(runner, settings)
    connect_presence(settings)
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "result_backend": None,
        "task_default_queue": "default",
        "task_queues": [Queue(name, Exchange("jobyard", type="direct"), routing_key=name) for name in QUEUES],
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.worker_concurrency,
        "worker_send_task_events": True,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 1,
        "broker_pool_acquire_timeout": 1,
        "broker_transport_options": BROKER_TRANSPORT_OPTIONS,
        "task_publish_retry": False,
        "timezone": settings.time_zone,
        "enable_utc": True,
        "beat_max_loop_interval": 5,
    }


def _add_task(app: Celery, runner: Runner, kind: JobKind) -> None:
    seconds = kind.timeout.total_seconds()

    def perform(job_id: str, dispatch_seq: int) -> None:
        runner.run(kind, job_id, dispatch_seq)

    perform.__doc__ = kind.handler.__doc__
    options: dict[str, Any] = {
        "name": kind.name,
        "soft_time_limit": seconds,
        "time_limit": seconds + HARD_LIMIT_GRACE_SECONDS,
        "acks_late": False,
        # Else Celery would give the task to every other application of this process too.
        "shared": False,
        # Logged where the verdict is known; here it would be a second, longer traceback.
        "throws": (JobFailed,),
    }
    app.task(**options)(perform)


def _add_tick(app: Celery, runner: Runner) -> None:
    def enqueue_tick(schedule: str, due_at: str) -> None:
        runner.enqueue_tick(schedule, due_at)

    app.task(name=TICK_TASK, acks_late=False, shared=False)(enqueue_tick)


def _connect_signals(runner: Runner, settings: Settings) -> None:
    def check_keys(**_: object) -> None:
        try:
            Signers(settings)
        except DkimKeyNotUsable as error:
            # Else mail would wait for a key that nobody misses.
            sys.exit(f"{environment_name('dkim_keys')}: {error}")

    def begin_child(**_: object) -> None:
        cap_memory(settings.worker_memory_bytes)
        runner.begin_child()

    def announce_stop(**_: object) -> None:
        runner.announce_stop()

    def set_up_logging(**_: object) -> None:
        configure_logging(settings)

    # weak=False: nothing else keeps these closures alive.
    cast("Any", signals.worker_init).connect(check_keys, weak=False)
    cast("Any", signals.worker_process_init).connect(begin_child, weak=False)
    cast("Any", signals.worker_shutting_down).connect(announce_stop, weak=False)
    cast("Any", signals.setup_logging).connect(set_up_logging, weak=False)
