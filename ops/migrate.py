"""Applies the Alembic migrations."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ops.checkout_lock import CheckoutBusy, CheckoutLock
from ops.endpoints import given_settings, load_endpoints
from ops.postgres import LocalPostgres
from shared import migrations


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring a database to a revision; a rival that migrates the same database is waited for."""
    migrations.upgrade(database_url, revision)


def run_migrate(var: Path) -> int:
    """Migrate the database of DATABASE_URL, of the running stack, or of the stack that is stopped now."""
    with operators_database(var) as database_url:
        upgrade(database_url)
    print("the database is at the newest migration")
    return 0


@contextmanager
def operators_database(var: Path) -> Generator[str]:
    """Yield the URL of the database that an operator means, started for the time being if it has to be."""
    given = given_settings().get("DATABASE_URL")
    if given is not None:
        yield given
        return
    var.mkdir(parents=True, exist_ok=True)
    lock = CheckoutLock(var)
    try:
        lock.acquire()
    except CheckoutBusy:
        yield load_endpoints(var / "endpoints.json").database_url
        return
    try:
        with LocalPostgres(var / "postgres") as postgres:
            yield postgres.url
    finally:
        lock.release()
