"""Kinds that do not look whether they should end, or do not want to."""

import asyncio
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path

from shared.job_context import JobContext
from shared.job_kind import job
from shared.job_outcome import Cancelled
from tests.kinds.basic import Echo, Gate

logger = logging.getLogger(__name__)


def arrive(gate: Gate) -> None:
    """Say "here" to whoever reads from the gate; from then on opening it for reading hangs."""
    Path(gate.path).write_text("here")


def linger(gate: Gate) -> str:
    return Path(gate.path).read_text()


@job("test.deaf", max_attempts=3)
def hang(gate: Gate, context: JobContext) -> Echo:
    """Wait at the gate and never look."""
    logger.warning("about to hang")
    arrive(gate)
    return Echo(text=linger(gate), attempt=context.attempt)


@job("test.deaf_async", max_attempts=3)
async def hang_in_the_loop(gate: Gate, context: JobContext) -> Echo:
    """Wait on the loop for what never comes."""
    arrive(gate)
    await asyncio.Event().wait()
    return Echo(text="", attempt=context.attempt)


@job("test.forgiving", max_attempts=3)
def swallow_once(gate: Gate, context: JobContext) -> Echo:
    """Take the first interruption for nothing."""
    arrive(gate)
    try:
        return Echo(text=linger(gate), attempt=context.attempt)
    except Cancelled:
        arrive(gate)
        return Echo(text=linger(gate), attempt=context.attempt)


@job("test.uninterruptible", max_attempts=3, interruptible=False)
def insist(gate: Gate, context: JobContext) -> Echo:
    """Wait at the gate, where nothing but its opening ends the wait."""
    arrive(gate)
    return Echo(text=linger(gate), attempt=context.attempt)


@job("test.exit_at_gate", max_attempts=1)
def exit_at_gate(gate: Gate, context: JobContext) -> Echo:
    """End the process when the gate opens."""
    context.progress(0, 1, str(os.getpid()))
    sys.exit(linger(gate))


@job("test.past_limit", max_attempts=1, timeout=timedelta(seconds=2))
def ignore_the_soft_limit(gate: Gate, context: JobContext) -> Echo:
    """Go on when the soft time limit has passed."""
    context.progress(0, 1, str(os.getpid()))
    while True:
        try:
            return Echo(text=linger(gate), attempt=context.attempt)
        except Exception:
            logger.exception("not heeded")


@job("test.immovable", max_attempts=1, timeout=timedelta(seconds=2))
def ignore_everything(gate: Gate, context: JobContext) -> Echo:
    """Go on whatever is raised."""
    context.progress(0, 1, str(os.getpid()))
    while True:
        try:
            return Echo(text=linger(gate), attempt=context.attempt)
        except BaseException:
            logger.exception("not heeded")
