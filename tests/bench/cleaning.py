"""`files.clean` over a million expired files, while their owner goes on adding files."""

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import psycopg

from ops.leash import Leash
from ops.paths import ROOT
from tests.bench.beside_guide import say
from tests.bench.clean_once import CleaningFailed
from tests.bench.figures import Samples, percentile
from tests.bench.file_rows import add_expired_files, add_new_file
from tests.bench.plan import Plan
from tests.bench.postgres_crews import JobyardCrew
from tests.bench.programs import cpu_seconds, inherited_environment
from tests.bench.report import Part

IDLE, SUBJECT = "idle", "cleaning"
_PAUSE_SECONDS = 0.005
_IDLE_SECONDS = 3.0


class Adder:
    """Adds a file every few milliseconds while entered; `waits` are the seconds that each INSERT took."""

    def __init__(self, database_url: str, owner: UUID) -> None:
        self.waits: list[float] = []
        self._connection: psycopg.Connection[Any] = psycopg.connect(database_url, autocommit=True)
        self._owner = owner
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._add)

    @property
    def backend_pid(self) -> int:
        """The process that PostgreSQL has for it."""
        return self._connection.info.backend_pid

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        self._connection.close()

    def _add(self) -> None:
        while not self._end.wait(_PAUSE_SECONDS):
            with self._connection.transaction():
                began = time.perf_counter()
                add_new_file(self._connection, self._owner)
                # Without the commit: waiting for the disk is no waiting for the cleaning.
                self.waits.append(time.perf_counter() - began)


def measure_cleaning(directory: Path, plan: Plan) -> Part:
    """Clean once."""
    samples = Samples(f"{plan.expired_files:,} expired files of one owner, {plan.expired_blobs:,} of them with a blob")
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        crew = JobyardCrew(directory, plan.worker_concurrency, leash, stack)
        child = stack.enter_context(_child(crew))
        _await_line(child)
        owner = crew.owners[0]
        say(f"cleaning: {plan.expired_files:,} rows are added")
        storage = Path(crew.environment()["JOBYARD_STORAGE_DIR"])
        add_expired_files(crew.connection, owner, plan.expired_files, plan.expired_blobs, storage)
        with Adder(crew.database_url, owner) as idle:
            time.sleep(_IDLE_SECONDS)
        say("cleaning: the job runs")
        with Adder(crew.database_url, owner) as adder:
            busy = _postgres_seconds(crew, adder)
            figures = _run(child)
            busy = _postgres_seconds(crew, adder) - busy
        left = crew.number("SELECT count(*) FROM files") - len(idle.waits) - len(adder.waits)
        if left:
            raise CleaningFailed(f"{left} expired files are still there")
    _add_cleaning(samples, plan.expired_files, figures, busy)
    for name, waits in ((IDLE, idle.waits), (SUBJECT, adder.waits)):
        _add_waits(samples, name, waits)
    notes = ["idle: the same INSERTs before, with as many rows there; nothing else than them runs"]
    return Part(title="Cleaning up", figures=samples.figures(), rivals=[IDLE], subject=SUBJECT, notes=notes)


def _add_cleaning(samples: Samples, rows: int, figures: tuple[float, float, float | None], postgres: float) -> None:
    seconds, cpu, grown = figures
    samples.add(SUBJECT, "from claim to result", seconds, "s")
    samples.add(SUBJECT, "files per second", rows / seconds, "/s")
    samples.add(SUBJECT, "CPU of the worker's child", cpu, "s")
    samples.add(SUBJECT, "CPU of PostgreSQL", postgres, "s")
    if grown is not None:
        samples.add(SUBJECT, "memory of the child, at most beyond its start", grown, "MB")


def _add_waits(samples: Samples, name: str, waits: list[float]) -> None:
    samples.add(name, "the owner's INSERT of a file: median", percentile(waits, 50) * 1000, "ms")
    samples.add(name, "the owner's INSERT of a file: p99", percentile(waits, 99) * 1000, "ms")
    samples.add(name, "the owner's INSERT of a file: longest", max(waits) * 1000, "ms")


def _child(crew: JobyardCrew) -> "subprocess.Popen[str]":
    # It needs no leash: it ends with its standard input, or with its job.
    environment = inherited_environment() | crew.environment()
    command = [sys.executable, "-m", "tests.bench.clean_once"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)


def _run(child: "subprocess.Popen[str]") -> tuple[float, float, float | None]:
    if child.stdin is None:
        raise CleaningFailed("the child has no standard input")
    print(file=child.stdin, flush=True)
    seconds, cpu, grown = json.loads(_await_line(child))
    return seconds, cpu, grown


def _await_line(child: "subprocess.Popen[str]") -> str:
    line = child.stdout.readline() if child.stdout is not None else ""
    if not line:
        raise CleaningFailed("the child ended, see its traceback above")
    return line


def _postgres_seconds(crew: JobyardCrew, adder: Adder) -> float:
    return cpu_seconds(crew.services()["postgres"]) - crew.harness_seconds() - cpu_seconds(adder.backend_pid)
