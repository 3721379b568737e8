"""Clients that come and go, or stay and do not read, leave nothing behind and keep nobody waiting."""

import json
import threading

import psycopg
import pytest

from api import web_socket_protocol
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.faults.web_socket.conftest import Served
from tests.faults.web_socket.wire import TEXT, Wire, frame, handshake

CLIENTS = 200
SUBSCRIBE_ALL = frame(TEXT, b'{"action":"subscribe","all":true,"tags":["red"]}')


def message(wire: Wire) -> dict[str, object]:
    opcode, content = wire.read_frame()
    assert opcode == TEXT
    return json.loads(content)


@pytest.mark.parametrize("reads", [True, False])
def test_connections_that_are_opened_and_dropped_at_once_leave_nothing(
    served: Served, owner: Owner, *, reads: bool
) -> None:
    wires = [served.connect() for _ in range(CLIENTS)]
    for number, wire in enumerate(wires):
        wire.send(handshake(owner if number % 2 else None))
    if reads:
        for wire in wires:
            wire.read_head()
            wire.send(SUBSCRIBE_ALL)
    for wire in wires:
        wire.close()

    served.wait_until_empty()
    assert served.resources.stream_places.count(owner.id) == 0
    assert served.resources.unauthenticated.count == 0
    assert served.resources.changes.broadcasts.empty


def test_subscriptions_end_with_their_connection(
    served: Served, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind]
) -> None:
    job_id = factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id))
    wire = served.open(owner)
    wire.send(SUBSCRIBE_ALL + frame(TEXT, json.dumps({"action": "subscribe", "jobs": [str(job_id)]}).encode()))
    assert [message(wire)["event"] for _ in range(3)] == ["subscribed", "job", "subscribed"]
    assert served.count() == {"connections": 1, "tasks": 1, "owners": 1, "jobs": 1}

    wire.close()

    served.wait_until_empty()


@pytest.fixture
def impatient(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Shorten how long a client may read nothing; it must be asked for before the server."""
    monkeypatch.setattr(settings, "stream_stall_seconds", 0.5)
    monkeypatch.setattr(web_socket_protocol, "LINGER_SECONDS", 0.5)
    return settings


def add_jobs(database: psycopg.Connection, kind: JobKind, owner: Owner, count: int, size: int) -> None:
    """Write down jobs that nobody is told of: the look into the ledger finds them."""
    for _ in range(count):
        factories.enqueue(database, factories.new_job(kind, owner.id, {"text": "x" * size}))


@pytest.mark.parametrize(
    ("count", "size"), [(300, 50_000), pytest.param(10_000, 2_000, marks=pytest.mark.long)], ids=["300", "10000"]
)
@pytest.mark.usefixtures("impatient")
def test_a_client_that_never_reads_is_cut_and_nobody_else_waits_for_it(
    served: Served, owner: Owner, database: psycopg.Connection, kinds: dict[str, JobKind], count: int, size: int
) -> None:
    silent, reading = served.open(owner), served.open(owner)
    for wire in (silent, reading):
        wire.send(SUBSCRIBE_ALL)
    assert message(reading)["event"] == "subscribed"

    adding = threading.Thread(target=add_jobs, args=(database, kinds["test.echo"], owner, count, size))
    adding.start()
    assert {message(reading)["event"] for _ in range(count)} == {"job"}
    adding.join()
    assert served.still_serves(owner)
    reading.close()
    served.wait_until_empty()

    # What the system had taken for it is still there; then the line is dead.
    assert silent.is_cut()
