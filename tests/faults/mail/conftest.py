"""A Jobyard whose mail goes to servers that a test holds up."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.conftest import JSON, PROGRAMS, Yard, open_yard
from tests.faults.mail.office import LOOPBACK, MailOffice

DOMAIN, SLOW, FAST = "example.com", "slow.example.com", "fast.example.com"
MOST_IN_A_BATCH = 1000
AT_LEAST_ONCE, AT_MOST_ONCE = "at_least_once", "at_most_once"
BACKOFF_SECONDS = 0.2
_STATES = """
SELECT recipients.address, recipients.state FROM recipients JOIN emails ON emails.id = recipients.email_id
WHERE emails.tags @> ARRAY[%s]
"""


@dataclass(frozen=True)
class MailYard(Yard):
    """Is a running Jobyard, and the servers that its mail goes to: the usual one, and those of some domains."""

    office: MailOffice
    offices: dict[str, MailOffice]

    def send(self, emails: Sequence[JSON]) -> set[str]:
        """Ask for e-mails, which must all be accepted; gives the paths of their jobs."""
        jobs: set[str] = set()
        for start in range(0, len(emails), MOST_IN_A_BATCH):
            answer = self.client.post("/v1/emails/batch", json=emails[start : start + MOST_IN_A_BATCH])
            assert answer.status_code == 202, answer.text
            assert answer.json()["failed"] == 0, answer.text
            jobs |= {item["email"]["links"]["job"] for item in answer.json()["items"]}
        return jobs

    def wait_for_jobs(self, paths: Iterable[str]) -> list[JSON]:
        """Wait for the end of jobs."""
        return [self.wait(path) for path in sorted(paths)]

    def states(self, tag: str) -> dict[str, str]:
        """Give the state of each recipient of the e-mails with a tag, by address."""
        with self.database() as database:
            return dict(database.execute(_STATES, (tag,)).fetchall())

    @contextmanager
    def database(self) -> Generator[psycopg.Connection[Any]]:
        """Open an autocommit connection to the ledger."""
        with psycopg.connect(self.stack.endpoints.database_url, autocommit=True) as connection:
            yield connection


def email(*to: str, tag: str, delivery: str = AT_LEAST_ONCE, domain: str = DOMAIN) -> JSON:
    """Make the body of an e-mail; those with the same tag and domain share jobs."""
    return {
        "from": f"mail@{domain}", "to": list(to), "subject": f"To {to[0]}", "text": "Grüße\n.\nEnd",
        "html": "<p>Grüße</p>", "delivery": delivery, "tags": [tag],
    }  # fmt: skip


def by_state(states: dict[str, str]) -> dict[str, set[str]]:
    """Sort recipients by their state."""
    sorted_: dict[str, set[str]] = defaultdict(set)
    for address, state in states.items():
        sorted_[state].add(address)
    return dict(sorted_)


@contextmanager
def open_mail_yard(
    directory: Path,
    *domains: str,
    environment: dict[str, str] | None = None,
    replicas: dict[str, int] | None = None,
    given: Mapping[str, str] | None = None,
) -> Generator[MailYard]:
    """Run a Jobyard with a mail server, and one more for each of some senders' domains."""
    with ExitStack() as stack:
        office = stack.enter_context(MailOffice())
        offices = {domain: stack.enter_context(MailOffice()) for domain in domains}
        complete = {
            "SMTP_ROUTES": ",".join(f"{domain}=smtp://{LOOPBACK}:{each.port}" for domain, each in offices.items()),
            "JOBYARD_MAIL_SENDERS": ",".join(f"@{domain}" for domain in (DOMAIN, *domains)),
            "JOBYARD_MAIL_BACKOFF_SECONDS": str(BACKOFF_SECONDS),
            "JOBYARD_SMTP_CONNECTIONS": "20",
        } | (environment or {})
        services = {"SMTP_URL": f"smtp://{LOOPBACK}:{office.port}", **(given or {})}
        yard = stack.enter_context(
            open_yard(directory, only=PROGRAMS, replicas=replicas, environment=complete, given=services)
        )
        yield MailYard(yard.client, yard.gates, yard.stack, office, offices)


@pytest.fixture(scope="package")
def package_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailYard]:
    """Run a Jobyard for all tests of this package that can share one; its PostgreSQL is its own."""
    with open_mail_yard(tmp_path_factory.mktemp("mail")) as yard:
        yield yard


@pytest.fixture
def yard(package_yard: MailYard) -> Iterator[MailYard]:
    """Give the Jobyard that tests share; its mail server has no connection that was kept, and holds nobody up."""
    package_yard.office.hang_up()
    yield package_yard
    package_yard.office.clear_gates()


@pytest.fixture(scope="module")
def routed(
    tmp_path_factory: pytest.TempPathFactory, make_ledger: Callable[[], Mapping[str, str]]
) -> Iterator[MailYard]:
    """Run a Jobyard with servers for two domains beside the usual one."""
    with open_mail_yard(tmp_path_factory.mktemp("routed"), SLOW, FAST, given=make_ledger()) as yard:
        yield yard
