"""Two dispatchers: the one that stops gives its lease up, and the other goes on at once."""

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults.conftest import Yard, open_yard

HOLDER = "SELECT holder FROM dispatcher_lease WHERE expires_at > clock_timestamp()"
DISPATCHERS = ("dispatcher", "dispatcher.2")


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Run a Jobyard with a stand-by."""
    with open_yard(
        tmp_path_factory.mktemp("yard"), only=("web", "dispatcher", "worker"), replicas={"dispatcher": 2}
    ) as yard:
        yield yard


def read_holder(connection: psycopg.Connection) -> str | None:
    row = connection.execute(HOLDER).fetchone()
    return str(row[0]) if row else None


def find_active(yard: Yard, holder: str) -> str:
    """Find out which program holds the lease: each says so in its log."""
    said = f"dispatcher {holder} is active"
    (active,) = [name for name in DISPATCHERS if said in Path(yard.stack.endpoints.log_dir, f"{name}.log").read_text()]
    return active


def test_a_dispatcher_that_stops_hands_over_at_once(yard: Yard) -> None:
    assert yard.wait(yard.enqueue("test.echo", {}))["state"] == "succeeded"
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as connection:
        holder = read_holder(connection)
        assert holder is not None
        active = find_active(yard, holder)
        began = time.monotonic()

        yard.stack.supervisor.stop_one(active)

        # Its lease would have gone on for seconds; it is free, or the other's already.
        assert read_holder(connection) != holder
        assert yard.stack.supervisor.wait_exit(active) == 0
        assert yard.wait(yard.enqueue("test.echo", {"text": "by the other"}))["state"] == "succeeded"
        print(f"\nstopped, and a job of the stand-by's done, in {time.monotonic() - began:.2f} s")
        assert read_holder(connection) not in {holder, None}
