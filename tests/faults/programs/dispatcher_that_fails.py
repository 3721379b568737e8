"""Dispatches, but fails once where a test wants it to: a FIFO in FAULT_DIR names the fault, and says when it comes.

`kill-before-publish`: SIGKILL when the first row is committed as dispatched and its message is not yet sent.
`stop-in-transaction`: SIGSTOP while rows are marked, locked and not committed. Woken, it sends their messages.
`kill-before-commit`, `stop-before-commit`: SIGKILL, SIGSTOP when events are made into jobs and nothing is committed.
`kill-after-commit`: SIGKILL when that is committed and none of the jobs is dispatched.

It keeps the dispatcher's bounds, but shorter ones, so that a test waits less.
"""

import os
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection

from worker import dispatcher
from worker.dispatcher import Dispatcher, main
from worker.dispatching import Dispatch
from worker.event_fan_out import FanOut
from worker.publisher import Publisher

DIRECTORY = Path(os.environ["FAULT_DIR"])
STOP = "stop-in-transaction"

IDLE = "idle_in_transaction_session_timeout"

connect = dispatcher.connect
publish = Publisher.publish
run_round = Dispatcher.run_round
fan_out = FanOut.run


def fail(*faults: str) -> None:
    """Let the fault come, if one of these is wanted."""
    for fault in faults:
        if (DIRECTORY / fault).exists():
            with (DIRECTORY / fault).open("w") as test:
                (DIRECTORY / fault).unlink()
                test.write(os.environ["JOBYARD_PROGRAM"])
            os.kill(os.getpid(), signal.SIGKILL if fault.startswith("kill") else signal.SIGSTOP)


def connect_for_less(*arguments: Any, **options: str) -> Connection[Any]:
    """Have PostgreSQL end a frozen transaction sooner, if it was asked to end it at all."""
    return connect(*arguments, **options | ({IDLE: "2s"} if IDLE in options else {}))


def fail_or_publish(self: Publisher, dispatch: Dispatch) -> None:
    """Do this in place of the publishing, which is the step after the commit."""
    fail("kill-before-publish", STOP)
    publish(self, dispatch)


def run_round_in_transaction(self: Dispatcher, connection: Connection[Any]) -> float:
    """Hold what is marked when the fault comes."""
    if not (DIRECTORY / STOP).exists():
        return run_round(self, connection)
    with connection.transaction():
        return run_round(self, connection)


def fan_out_and_fail(self: FanOut, connection: Connection[Any], holder: UUID) -> int:
    """Do this in place of a batch."""
    with connection.transaction():
        taken = fan_out(self, connection, holder)
        if taken:
            fail("kill-before-commit", "stop-before-commit")
    if taken:
        fail("kill-after-commit")
    return taken


dispatcher.connect = connect_for_less
dispatcher.SUSPICIOUS_SECONDS = 2.0
Publisher.publish = fail_or_publish
Dispatcher.run_round = run_round_in_transaction
FanOut.run = fan_out_and_fail
main()
