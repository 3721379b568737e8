"""Kinds that need room, or time."""

import os
from datetime import timedelta
from pathlib import Path

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from tests.kinds.basic import Echo, Gate

CHUNK = 65536


class Size(JobInput):
    """Says how much to write."""

    chunks: int


class Written(JobResult):
    """Says how much was written."""

    size: int


@job("test.fill", max_attempts=2, backoff=timedelta(0))
def fill_storage(size: Size, context: JobContext) -> Written:
    """Write a file of some chunks."""
    with context.output("much.txt", "text/plain") as output:
        for _ in range(size.chunks):
            output.stream.write(b"x" * CHUNK)
    return Written(size=size.chunks * CHUNK)


@job("test.long_gate", timeout=timedelta(minutes=15))
def pass_gate_some_time(gate: Gate, context: JobContext) -> Echo:
    """Say which process runs, wait at the gate for as long as it takes."""
    context.progress(0, 1, str(os.getpid()))
    return Echo(text=Path(gate.path).read_text(), attempt=context.attempt)
