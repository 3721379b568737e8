"""Kinds for tests that take the process away under them."""

import os
import threading
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from shared.job_context import JobContext
from shared.job_kind import JobInput, job
from tests.kinds.basic import Echo, Gate


class Pace(JobInput):
    """Carries a text, and how many seconds it takes to give it back."""

    text: str
    seconds: float = Field(0.3, ge=0, le=10)


@job("test.slow_echo", timeout=timedelta(seconds=60), backoff=timedelta(seconds=0))
def echo_slowly(pace: Pace, context: JobContext) -> Echo:
    """Give the text back after a while."""
    threading.Event().wait(pace.seconds)
    return Echo(text=pace.text, attempt=context.attempt)


def arrive(gate: Gate, context: JobContext) -> str:
    """Say which process runs, and wait at the gate of this attempt."""
    context.progress(0, 1, str(os.getpid()))
    return Path(f"{gate.path}.{context.attempt}").read_text()


def write_and_wait(gate: Gate, context: JobContext) -> Echo:
    text = f"attempt {context.attempt}"
    with context.output(f"{text}.txt", "text/plain") as output:
        output.stream.write(text.encode())
    return Echo(text=f"{text} {arrive(gate, context)}", attempt=context.attempt)


@job("test.output_at_gate", max_attempts=3, backoff=timedelta(seconds=0))
def write_at_gate(gate: Gate, context: JobContext) -> Echo:
    """Write an output and wait; the heartbeat may break in."""
    return write_and_wait(gate, context)


@job("test.output_insistently", max_attempts=3, backoff=timedelta(seconds=0), interruptible=False)
def write_insistently(gate: Gate, context: JobContext) -> Echo:
    """Write an output and wait, where nothing but the opening of the gate ends the wait."""
    return write_and_wait(gate, context)


@job("test.output_in_halves", max_attempts=3, backoff=timedelta(seconds=0))
def write_in_halves(gate: Gate, context: JobContext) -> Echo:
    """Write half an output, wait, write the other half."""
    text = f"attempt {context.attempt}"
    with context.output(f"{text}.txt", "text/plain") as output:
        output.stream.write(text.encode())
        passed = arrive(gate, context)
        output.stream.write(passed.encode())
    return Echo(text=f"{text} {passed}", attempt=context.attempt)
