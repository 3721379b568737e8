"""Sessions that meet at a job's row."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from shared.job_kind import JobKind
from tests.conftest import Owner
from tests.integration.ledger.exits import Case
from tests.integration.ledger.rivals import Session


@pytest.fixture
def case(kinds: dict[str, JobKind], owner: Owner, database: Session) -> Iterator[Case]:
    with ThreadPoolExecutor() as pool:
        yield Case(kinds["test.echo"], owner, database, pool)


@pytest.fixture
def rival(database_url: str) -> Iterator[Session]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def observer(database_url: str) -> Iterator[Session]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
