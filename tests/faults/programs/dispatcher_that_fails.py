"""Dispatches, but fails once where a test wants it to: a FIFO in FAULT_DIR names the fault, and says when it comes.

`kill-before-publish`: SIGKILL when the first row is committed as dispatched and its message is not yet sent.
`stop-in-transaction`: SIGSTOP while rows are marked, locked and not committed. Woken, it sends their messages.
"""

import os
import signal
from pathlib import Path
from typing import Any

from psycopg import Connection

from worker.dispatcher import Dispatcher, main
from worker.dispatching import Dispatch
from worker.publisher import Publisher

FAULTS = {
    Path(os.environ["FAULT_DIR"], "kill-before-publish"): signal.SIGKILL,
    Path(os.environ["FAULT_DIR"], "stop-in-transaction"): signal.SIGSTOP,
}
STOP = Path(os.environ["FAULT_DIR"], "stop-in-transaction")

publish = Publisher.publish
run_round = Dispatcher.run_round


def fail_or_publish(self: Publisher, dispatch: Dispatch) -> None:
    """Do this in place of the publishing, which is the step after the commit."""
    for fault, number in FAULTS.items():
        if fault.exists():
            with fault.open("w") as test:
                fault.unlink()
                test.write(os.environ["JOBYARD_PROGRAM"])
            os.kill(os.getpid(), number)
    publish(self, dispatch)


def run_round_in_transaction(self: Dispatcher, connection: Connection[Any]) -> float:
    """Hold what is marked when the fault comes."""
    if not STOP.exists():
        return run_round(self, connection)
    with connection.transaction():
        return run_round(self, connection)


Publisher.publish = fail_or_publish
Dispatcher.run_round = run_round_in_transaction
main()
