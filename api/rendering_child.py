"""What runs in the renderer's child; the front itself never loads the template engine."""

import ctypes
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

from shared.mail_templates import Content, TemplateError, TemplateSource, check_source, render
from shared.memory_cap import cap_memory

BACK_STOP_SECONDS = 10.0
MEMORY_BYTES = 512 * 1024**2
TURN_SECONDS = 0.2
"""After so much time the child hands over what it has, so that others get their turn."""
TURN_CHARACTERS = 4 * 1024**2
Kept = Literal["finished", "unfinished", "subject"]

_PR_SET_PDEATHSIG = 1
_T = TypeVar("_T")


def begin(parent: int) -> None:
    """Prepare the child: little memory, deaf to the terminal's Ctrl-C, dead with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cap_memory(MEMORY_BYTES)
    if sys.platform.startswith("linux"):
        # Not only the thread below: C code that holds on to the interpreter does not let it run.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    threading.Thread(target=_die_with_parent, name="parent", daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def check_one(source: TemplateSource) -> list[str]:
    """Check a source; raises `TemplateError`."""
    return _called(lambda: check_source(source))


def render_some(
    source: TemplateSource, shared: Mapping[str, Any], variables: Sequence[dict[str, Any]], kept: Kept
) -> list[Content | TemplateError]:
    """Render for the first of the variables at least, and for more of them while the turn lasts.

    Where subjects alone are kept, the largest message is finished on trial: what is too much then is so for its worker.
    """
    until = time.monotonic() + TURN_SECONDS
    room = TURN_CHARACTERS
    made: list[Content | TemplateError] = []
    largest, index = -1, -1
    for each in variables:
        content = _attempt(source, {**shared, **each}, kept)
        if isinstance(content, Content):
            if size_of(content) > largest:
                largest, index = size_of(content), len(made)
            if kept == "subject":
                content = Content(content.subject, None, None)
            room -= size_of(content)
        made.append(content)
        if room < 0 or time.monotonic() > until:
            break
    if kept == "subject" and index >= 0:
        finished = _attempt(source, {**shared, **variables[index]}, "finished")
        if isinstance(finished, TemplateError):
            made[index] = finished
    return made


def size_of(content: Content) -> int:
    """Give the number of characters of all texts."""
    return sum(len(part or "") for part in content)


def _attempt(source: TemplateSource, variables: dict[str, Any], kept: Kept) -> Content | TemplateError:
    try:
        return _called(lambda: render(source, variables, finished=kept == "finished"))
    except TemplateError as error:
        return error.with_traceback(None)


def _called(call: Callable[[], _T]) -> _T:
    with _back_stop():
        try:
            return call()
        except TemplateError:
            raise
        except Exception as error:
            # The front could not read an exception of the engine's without loading the engine.
            raise RuntimeError("the template engine failed") from error


@contextmanager
def _back_stop() -> Generator[None]:
    # A thread of C's, which needs no interpreter, ends the child.
    faulthandler.dump_traceback_later(BACK_STOP_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
