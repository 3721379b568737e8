"""Jobyard with clients that wait for a job, which the harness runs as a worker would."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from ops.leash import Leash
from ops.paths import ROOT
from ops.ports import LOOPBACK
from shared.job_events import EventPublisher
from shared.settings import Settings
from tests.bench.jobyard_side import Jobyard
from tests.bench.load import LoadFailed
from tests.bench.orders import Watch
from tests.bench.plan import Plan
from tests.bench.programs import inherited_environment
from worker import ledger
from worker.ledger import Claim, Progress

_DISPATCH = "UPDATE jobs SET dispatched_at = clock_timestamp(), dispatch_seq = 1 WHERE id = %s"
_LEASE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Told:
    """Is how the waiters of a job learned of its end; `milliseconds` counts from its commit."""

    milliseconds: list[float]
    requests: int
    generator_share: float


class WaitersFailed(LoadFailed):
    """Says that waiters were not told, so that the figures mean nothing."""


class WaitedFor(Jobyard):
    """Is a front, its services and jobs that end when the harness says so."""

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack) -> None:
        super().__init__(directory, plan, leash, stack)
        self.publisher = EventPublisher(Settings.model_validate({"redis_url": self.redis.url}))
        stack.callback(self.publisher.close)
        self._waiters = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.waiters"], cwd=ROOT, env=inherited_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        stack.callback(self._end_waiters)

    def begin_job(self) -> Claim:
        """Submit a job and claim it."""
        with httpx2.Client(base_url=f"http://{LOOPBACK}:{self.port}", headers=self.headers, trust_env=False) as client:
            answer = client.post(self.submit_path, json=json.loads(self.submit_body)).raise_for_status()
        job_id = answer.json()["id"]
        self.own.execute(_DISPATCH, (job_id,))
        held = ledger.claim(
            self.own, job_id=job_id, dispatch_seq=1, claim_id=uuid4(), worker="bench",
            lease_seconds=_LEASE_SECONDS, timeout_seconds=_LEASE_SECONDS,
        )  # fmt: skip
        if held is None:
            raise WaitersFailed(f"job {job_id} could not be claimed")
        return held

    def await_job(self, held: Claim, way: str, count: int) -> None:
        """Have so many clients wait for a job's end; returns when the server has them all."""
        order = Watch(port=self.port, way=way, count=count, job_id=str(held.job_id), headers=self.headers)
        if self._waiters.stdin is None:
            raise WaitersFailed("the waiters have no pipe")
        print(json.dumps(asdict(order)), file=self._waiters.stdin, flush=True)
        self._read()

    def report(self, held: Claim, step: int, steps: int) -> None:
        """Report progress as a worker's heartbeat does."""
        progress = Progress(step, steps, f"step {step} of {steps}")
        pulse = ledger.heartbeat(self.own, held, _LEASE_SECONDS, progress)
        if pulse is None:
            raise WaitersFailed("the claim was lost")
        self.publisher.publish([ledger.reported(held, pulse)])

    def finish(self, held: Claim) -> Told:
        """End a job as a worker does, and tell how its waiters learned of it."""
        row = ledger.succeed(self.own, held, {}, None)
        if row is None:
            raise WaitersFailed("the claim was lost")
        committed_at = time.time_ns()
        self.publisher.publish([row])
        answer = self._read()
        milliseconds = [(told_at - committed_at) / 1e6 for told_at in answer["told_at"]]
        return Told(milliseconds, answer["requests"], answer["share"])

    def _read(self) -> dict[str, Any]:
        line = self._waiters.stdout.readline() if self._waiters.stdout is not None else ""
        if not line:
            raise WaitersFailed("the waiters ended")
        return json.loads(line)

    def _end_waiters(self) -> None:
        for pipe in (self._waiters.stdin, self._waiters.stdout):
            if pipe is not None:
                pipe.close()
        self._waiters.kill()
        self._waiters.wait()
