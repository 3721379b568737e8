"""Kinds that end in every way a handler can."""

import asyncio
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Cancelled, Fail, Retry, Snooze


class Words(JobInput):
    """Carries a text, and how the handler shall end."""

    text: str = ""
    ending: str = "return"


class Echo(JobResult):
    """Carries the text back."""

    text: str
    attempt: int


def leave(*, words: Words, context: JobContext) -> None:
    if words.ending == "retry" or (words.ending == "retry_once" and context.attempt == 1):
        raise Retry(timedelta(0), "once more")
    if words.ending == "exit":
        sys.exit(3)
    endings: dict[str, BaseException] = {
        "snooze": Snooze(timedelta(0)),
        "fail": Fail("bad_words", "These words will not do."),
        "crash": RuntimeError("a secret that must not be shown"),
        "out_of_memory": MemoryError(),
        "cancel": Cancelled(),
    }
    if words.ending in endings:
        raise endings[words.ending]


@job("test.echo", max_attempts=3, timeout=timedelta(seconds=30), backoff=timedelta(seconds=0))
def echo_words(words: Words, context: JobContext) -> Echo:
    """Give the text back, or end as asked."""
    leave(words=words, context=context)
    if words.ending == "hang":
        threading.Event().wait()
    if words.ending == "hoard":
        # Untouched, so it costs the machine nothing; but it counts.
        return Echo(text=str(len(bytearray(3 * 1024**3))), attempt=context.attempt)
    if words.ending.startswith("output"):
        with context.output("words.txt", "text/plain") as output:
            output.stream.write(words.text.encode())
        if words.ending == "output_then_crash":
            raise RuntimeError("after writing")
    if words.ending == "follow_up":
        context.enqueue("test.echo", {"text": "after " + words.text})
    return Echo(text=words.text, attempt=context.attempt)


@job("test.async_echo")
async def echo_words_later(words: Words, context: JobContext) -> Echo:
    """Give the text back from a coroutine, or end as asked."""
    await asyncio.sleep(0)
    if words.ending == "hang":
        await asyncio.Event().wait()
    leave(words=words, context=context)
    return Echo(text=words.text, attempt=context.attempt)


@job("test.internal", access="internal")
def echo_internally(words: Words, context: JobContext) -> Echo:
    """Give the text back; not for the public."""
    return Echo(text=words.text, attempt=context.attempt)


class Gate(JobInput):
    """Names a FIFO: opening it blocks until the test opens its other end."""

    path: str


@job("test.gate", max_attempts=3, timeout=timedelta(seconds=60))
def pass_gate(gate: Gate, context: JobContext) -> Echo:
    """Say which process runs, wait at the gate, give back what comes through it."""
    context.progress(0, 1, str(os.getpid()))
    return Echo(text=Path(gate.path).read_text(), attempt=context.attempt)


@job("test.hang", max_attempts=1, timeout=timedelta(seconds=1), backoff=timedelta(seconds=0))
def hang_at_gate(gate: Gate, context: JobContext) -> Echo:
    """Wait at the gate for longer than the kind allows."""
    return Echo(text=Path(gate.path).read_text(), attempt=context.attempt)


@job("test.kill", max_attempts=2, timeout=timedelta(seconds=30))
def kill_itself(words: Words, context: JobContext) -> Echo:
    """Take its own process away."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Echo(text=words.text, attempt=context.attempt)
