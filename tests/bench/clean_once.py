"""Runs `files.clean` in a real attempt and measures it: `python -m tests.bench.clean_once`.

It cleans up nothing at first, so that everything is imported and connected, says so in a line, and waits for one.
"""

import json
import os
import sys
import time
from typing import Any

import psycopg

from shared.database import connect
from shared.job_kind import JobKind, load_job_kinds
from shared.models import SYSTEM_OWNER_ID
from shared.settings import get_settings
from tests.bench.memory import PeakMemory
from tests.factories import enqueue, new_job, open_runner, run_job
from worker.runner import Runner


class CleaningFailed(RuntimeError):
    """Says that the job did not succeed, so that its figures mean nothing."""


def main() -> None:
    """Print seconds, CPU seconds and the growth of memory in MB as JSON."""
    settings = get_settings()
    kinds = load_job_kinds(settings.job_modules)
    with connect(settings, "bench") as database, open_runner(settings, kinds) as runner:
        _clean(runner, database, kinds["files.clean"])
        print("ready", flush=True)
        sys.stdin.readline()
        memory = PeakMemory(os.getpid())
        began, busy = time.perf_counter(), time.process_time()
        _clean(runner, database, kinds["files.clean"])
        print(json.dumps([time.perf_counter() - began, time.process_time() - busy, memory.growth()]), flush=True)


def _clean(runner: Runner, database: psycopg.Connection[Any], kind: JobKind) -> None:
    job_id = enqueue(database, new_job(kind, SYSTEM_OWNER_ID))
    state = run_job(runner, database, kind, job_id)
    if state != "succeeded":
        row = database.execute("SELECT error FROM jobs WHERE id = %s", (job_id,)).fetchone()
        raise CleaningFailed(f"the job is {state}: {row}")


if __name__ == "__main__":
    main()
