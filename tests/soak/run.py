"""One soak, from an empty directory to the verdict."""

import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from ops.paths import ROOT
from ops.ports import free_port
from ops.stack import Stack
from tests.soak.audit import Audit, audit
from tests.soak.client import Answers, Clients
from tests.soak.injector import Injector
from tests.soak.orders import Stock, make_orders, upload_stock
from tests.soak.plan import Plan
from tests.soak.watch import Watch

_LOOK_SECONDS = 0.2
_REPORT_SECONDS = 10.0
_ACCOUNT = {"email": "soak@example.com", "password": "long enough for a soak"}

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Is what a soak showed."""

    plan: Plan
    answers: Answers
    faults: Mapping[str, int]
    failures: list[str]
    audit: Audit
    memory: Mapping[str, list[float]]
    seconds: float
    drain_seconds: float

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        complete = len(self.answers.accepted) == self.plan.jobs
        return self.audit.is_clean and complete and not self.failures


def run_soak(plan: Plan, directory: Path, say: Say) -> Outcome:
    """Run a soak below a directory, which is emptied first; the logs stay there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    began = time.monotonic()
    with _stack(plan, directory) as stack:
        authorization, stock = _prepare(stack.endpoints.api_url)
        choice = random.Random(f"orders {plan.seed}")  # noqa: S311 - repeats itself, guards nothing
        orders = make_orders(stock, plan.jobs, choice)
        clients = Clients(stack.endpoints.api_url, authorization, orders, plan)
        with Watch(stack, _ACCOUNT["email"], lambda count: _steer(clients, plan, count)) as watch:
            with Injector(stack, plan, say) as injector:
                clients.start()
                try:
                    _wait(lambda: clients.are_done or bool(injector.failures), watch, plan, say)
                finally:
                    clients.stop.set()
                    clients.join()
            drain_began = time.monotonic()
            say("all are accepted, the faults have ended")
            _wait(lambda: watch.under_way == 0, watch, plan, say)
        return Outcome(
            plan=plan,
            answers=clients.answers,
            faults=injector.caused,
            failures=injector.failures,
            audit=audit(
                stack.endpoints.database_url,
                _ACCOUNT["email"],
                clients.answers.accepted,
                Path(stack.endpoints.mailbox_dir),
            ),
            memory=watch.memory,
            seconds=time.monotonic() - began,
            drain_seconds=time.monotonic() - drain_began,
        )


def _stack(plan: Plan, directory: Path) -> Stack:
    ports = {"JOBYARD_PORT": str(free_port()), "JOBYARD_FLOWER_PORT": str(free_port())}
    environment = {
        "JOBYARD_ENVIRONMENT": "test",
        "JOBYARD_JOB_MODULES": "worker.jobs,tests.kinds",
        "JOBYARD_LEASE_SECONDS": str(plan.lease_seconds),
        "JOBYARD_WORKER_CONCURRENCY": str(plan.worker_children),
        "JOBYARD_ACCESS_TOKEN_MINUTES": "1440",
        "PYTHONPATH": str(ROOT),
    }
    # With fsync, as in production: the promise is about commits that survive a crash.
    return Stack(directory, given=ports, replicas={"dispatcher": 2}, environment=environment)


def _prepare(api_url: str) -> tuple[str, Stock]:
    with httpx2.Client(base_url=api_url, timeout=30, trust_env=False) as client:
        client.post("/v1/auth/register", json=_ACCOUNT).raise_for_status()
        tokens = client.post("/v1/auth/login", json=_ACCOUNT).raise_for_status().json()
        authorization = f"Bearer {tokens['access_token']}"
        client.headers["Authorization"] = authorization
        return authorization, upload_stock(client)


def _steer(clients: Clients, plan: Plan, under_way: int) -> None:
    if under_way < plan.most_under_way:
        clients.room.set()
    else:
        clients.room.clear()


def _wait(is_over: Callable[[], bool], watch: Watch, plan: Plan, say: Say) -> None:
    report_at = time.monotonic() + _REPORT_SECONDS
    while not is_over():
        time.sleep(_LOOK_SECONDS)
        now = time.monotonic()
        if now - watch.finished_at > plan.stalled_seconds:
            say(f"nothing has finished for {plan.stalled_seconds:.0f} s, giving up")
            return
        if now >= report_at:
            report_at = now + _REPORT_SECONDS
            say(f"{watch.finished} of {plan.jobs} jobs are at their end, {watch.under_way} are under way")
