"""SIGKILL in the middle of a conversation, at each step: what arrives, how often, and what is said of it."""

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psutil
import pytest

from tests.faults.mail.conftest import AT_LEAST_ONCE, AT_MOST_ONCE, MailYard, email
from tests.faults.mail.office import Gate, Step
from tests.lock_waits import WAITING
from tests.polling import await_that

HELD = (Step.RCPT, Step.DATA, Step.BODY)
ANSWERED = "answered"
"""The server has said 250, and that is about to be written down."""
UNTOLD = (Step.CONNECT, Step.EHLO, Step.MAIL)
"""Of these steps nobody can tell which message they are for: messages that have no other go first."""

# How often each arrives, and what is said of its recipient in the end.
EXPECTED = {
    AT_LEAST_ONCE: {
        **dict.fromkeys((*UNTOLD, Step.RCPT, Step.DATA), (1, "sent")),
        **dict.fromkeys((Step.BODY, ANSWERED), (2, "sent")),
    },
    AT_MOST_ONCE: {
        **dict.fromkeys((*UNTOLD, Step.RCPT), (1, "sent")),
        Step.DATA: (0, "uncertain"),
        **dict.fromkeys((Step.BODY, ANSWERED), (1, "uncertain")),
    },
}
# What waits would otherwise be done as soon as it can be, though nobody is left to hear of it.
DROP_WAITING = f"""
SELECT pg_terminate_backend(pid) FROM ({WAITING.replace("count(*)", "pid")}) AS waiting
"""  # noqa: S608 - a constant of the tests
LOCK = "SELECT FROM recipients WHERE address = ANY(%s) FOR UPDATE"


def kill_children(yard: MailYard) -> None:
    for child in psutil.Process(yard.stack.supervisor.pid("worker")).children():
        os.kill(child.pid, signal.SIGKILL)


def kill_all(yard: MailYard) -> None:
    yard.stack.supervisor.signal_group("worker", signal.SIGKILL)


def address_of(run: str, delivery: str, step: str) -> str:
    return f"{run}.{delivery}.{step}@example.net"


@contextmanager
def held_records(yard: MailYard, addresses: list[str], gates: list[Gate]) -> Generator[None]:
    """Let the server's 250 go out, while what it says of these recipients cannot be written down, and never is."""
    with yard.database() as database, database.transaction():
        database.execute(LOCK, (addresses,))
        for gate in gates:
            gate.open()
        await_that(lambda: database.execute(WAITING).fetchone() != (0,))
        yield
        database.execute(DROP_WAITING)


@pytest.mark.parametrize("kill", [kill_children, kill_all])
def test_a_message_comes_as_often_as_its_sender_chose(yard: MailYard, kill: Callable[[MailYard], None]) -> None:
    run, office = kill.__name__, yard.office
    addresses = {
        (delivery, step): address_of(run, delivery, step) for delivery in EXPECTED for step in EXPECTED[delivery]
    }
    answered = [addresses[delivery, ANSWERED] for delivery in EXPECTED]
    untold = [office.gate(step) for step in UNTOLD]
    held = [office.gate(step, addresses[delivery, step]) for delivery in EXPECTED for step in HELD]
    taking = [office.gate(Step.BODY, address) for address in answered]

    def send(*steps: str) -> set[str]:
        chosen = [(delivery, step) for delivery, step in addresses if step in steps]
        return yard.send([email(addresses[key], tag=run, delivery=key[0]) for key in chosen])

    jobs = send(*UNTOLD)
    for gate in untold:
        gate.wait_taken()
    jobs |= send(*HELD, ANSWERED)
    for gate in (*held, *taking):
        gate.wait_taken()
    with held_records(yard, answered, taking):
        kill(yard)
    office.clear_gates()
    yard.wait_for_jobs(jobs)

    states = yard.states(run)
    found = {key: (len(office.to(address)), states[address]) for key, address in addresses.items()}
    print(f"\n{run}: {found}")
    assert found == {(delivery, step): EXPECTED[delivery][step] for delivery, step in addresses}
    for step in (Step.BODY, ANSWERED):
        first, again = office.to(addresses[AT_LEAST_ONCE, step])
        assert first.message_id == again.message_id
        assert first.content == again.content
