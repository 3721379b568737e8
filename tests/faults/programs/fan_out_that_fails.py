"""Dispatches, but fails once where a test wants it to: a FIFO in FAULT_DIR names the fault, and says when it comes.

`kill-before-commit`, `stop-before-commit`: SIGKILL, SIGSTOP when events are made into jobs and nothing is committed.
`kill-after-commit`: SIGKILL when that is committed and none of the jobs is dispatched.
"""

import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection

from worker.dispatcher import main
from worker.event_fan_out import FanOut

DIRECTORY = Path(os.environ["FAULT_DIR"])
FAULTS = {
    "kill-before-commit": signal.SIGKILL,
    "stop-before-commit": signal.SIGSTOP,
    "kill-after-commit": signal.SIGKILL,
}

run = FanOut.run


def fail(*names: str) -> None:
    """Let the fault come, if one of these is wanted."""
    for name in names:
        fault = DIRECTORY / name
        if fault.exists():
            with fault.open("w") as test:
                fault.unlink()
                test.write(os.environ["JOBYARD_PROGRAM"])
            os.kill(os.getpid(), FAULTS[name])


def run_and_fail(self: FanOut, connection: Connection[Any], holder: UUID) -> int:
    """Do this in place of a batch."""
    with connection.transaction():
        taken = run(self, connection, holder)
        if taken:
            fail("kill-before-commit", "stop-before-commit")
    if taken:
        fail("kill-after-commit")
    return taken


FanOut.run = run_and_fail
main()
