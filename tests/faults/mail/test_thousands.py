"""Many recipients of whom some are deferred and some refused, while workers are killed: each ends as it should."""

import os
import random
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager, suppress

import psutil
import pytest

from ops.supervisor import ProgramNotRunning
from tests.faults.mail.conftest import AT_LEAST_ONCE, AT_MOST_ONCE, MailYard, by_state, email
from tests.faults.mail.office import MailOffice

KILL_SECONDS = 3.0
KILLED_AT = {40, 90}
FEW, MANY = 150, 10_000
REFUSED, DEFERRED, AT_MOST = 50, 20, 3
"""One recipient in so many."""


def judge(recipient: str, asked_before: int) -> str:
    """Refuse 2 %, defer 5 % when they are asked for the first time, accept all others."""
    number = int(recipient.partition("@")[0].rpartition("-")[2])
    if number % REFUSED == 0:
        return "550 5.1.1 No such mailbox"
    if number % DEFERRED == 1 and not asked_before:
        return "451 4.7.1 Greylisted, try again later"
    return "250 2.1.5 OK"


def kill_a_child(yard: MailYard) -> None:
    children = psutil.Process(yard.stack.supervisor.pid("worker")).children()
    os.kill(random.choice(children).pid, signal.SIGKILL)  # noqa: S311 - any child will do


@contextmanager
def killing_at(yard: MailYard, arrivals: set[int]) -> Generator[list[int]]:
    """Kill the whole worker when so many messages have come, before the last of them is answered."""
    kills: list[int] = []
    before = len(yard.office.arrivals)

    def kill(count: int) -> None:
        if count - before in arrivals:
            kills.append(count)
            yard.stack.supervisor.signal_group("worker", signal.SIGKILL)

    yard.office.on_arrival = kill
    try:
        yield kills
    finally:
        yard.office.on_arrival = lambda _: None


@contextmanager
def killing_every(yard: MailYard, seconds: float) -> Generator[list[int]]:
    """Kill a child or the whole worker, by turns, at each turn of a clock."""
    kills: list[int] = []
    enough = threading.Event()

    def kill_on_schedule() -> None:
        while not enough.wait(seconds):
            # It may just be starting again, have no children yet, or this one may have ended.
            with suppress(ProgramNotRunning, psutil.NoSuchProcess, IndexError, ProcessLookupError):
                if len(kills) % 2:
                    yard.stack.supervisor.signal_group("worker", signal.SIGKILL)
                else:
                    kill_a_child(yard)
                kills.append(len(yard.office.arrivals))

    killer = threading.Thread(target=kill_on_schedule)
    killer.start()
    try:
        yield kills
    finally:
        enough.set()
        killer.join()


def count_copies(office: MailOffice) -> Counter[str]:
    """Count how often each recipient's message has come; each time it must be the same."""
    contents: dict[str, list[bytes]] = defaultdict(list)
    for arrival in office.arrivals:
        for recipient in arrival.recipients:
            contents[recipient].append(arrival.content)
    assert all(len(set(copies)) == 1 for copies in contents.values())
    return Counter({recipient: len(copies) for recipient, copies in contents.items()})


@pytest.mark.parametrize(
    "count", [FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)  # fmt: skip
def test_each_of_many_recipients_ends_in_its_state(yard: MailYard, count: int) -> None:
    run = f"many{count}"
    deliveries = {
        f"{run}-{number}@example.net": AT_LEAST_ONCE if number % AT_MOST else AT_MOST_ONCE for number in range(count)
    }
    emails = [email(address, tag=run, delivery=delivery) for address, delivery in deliveries.items()]
    yard.office.judge = judge

    with killing_every(yard, KILL_SECONDS) if count == MANY else killing_at(yard, KILLED_AT) as kills:
        yard.wait_for_jobs(yard.send(emails))

    states = yard.states(run)
    arrived = count_copies(yard.office)
    copies = {address: arrived[address] for address in deliveries}
    found = by_state(states)
    print(
        f"\n{count} recipients, {len(kills)} kills: { {state: len(those) for state, those in found.items()} }, "
        f"arrived {dict(Counter(copies.values()))}"
    )
    assert states.keys() == deliveries.keys()
    assert found["bounced"] == {address for address in deliveries if judge(address, 1).startswith("5")}
    assert {copies[address] for address in found["bounced"]} == {0}
    assert found.keys() <= {"sent", "bounced", "uncertain"}
    assert {deliveries[address] for address in found.get("uncertain", set())} <= {AT_MOST_ONCE}
    assert all(copies[address] >= 1 for address in found["sent"])
    assert all(copies[address] <= 1 for address, delivery in deliveries.items() if delivery == AT_MOST_ONCE)
    assert kills
