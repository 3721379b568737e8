"""Limits on how fast mail goes, as the server sees it, with two workers."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.faults.mail.conftest import MailYard, email, open_mail_yard

SERVER_RATE, DOMAIN_RATE = 40.0, 5.0
DOMAIN = "limited.example.net"
SLACK_SECONDS = 0.5
"""What a message may come late after its moment on a busy machine, so that the next ones come close behind it."""
SLOTS = 2
FREE, LIMITED, JOBS = 100, 15, 4
WORKERS = "SELECT count(DISTINCT worker) FROM job_attempts"


@pytest.fixture(scope="module")
def limited(
    tmp_path_factory: pytest.TempPathFactory, make_ledger: Callable[[], Mapping[str, str]]
) -> Iterator[MailYard]:
    """Run a Jobyard with two workers and limits."""
    limits = {"JOBYARD_SMTP_RATE": str(SERVER_RATE), "JOBYARD_MAIL_DOMAIN_RATES": f"{DOMAIN}={DOMAIN_RATE}"}
    with open_mail_yard(
        tmp_path_factory.mktemp("rates"), environment=limits, replicas={"worker": 2}, given=make_ledger()
    ) as yard:
        yield yard


def most_beyond(times: Sequence[float], rate: float) -> float:
    """Tell by how many messages the busiest stretch of time was beyond what a rate allows in it."""
    ordered = sorted(times)
    return max(
        last - first - rate * (ordered[last] - ordered[first])
        for first in range(len(ordered))
        for last in range(first, len(ordered))
    )


def test_limits_hold_across_workers(limited: MailYard) -> None:
    free = [email(f"{number}@example.net", tag="free") for number in range(FREE)]
    slowed = [email(f"{number}@{DOMAIN}", tag="slowed") for number in range(LIMITED)]

    jobs: set[str] = set()
    for part in range(JOBS):
        jobs |= limited.send(slowed[part::JOBS]) | limited.send(free[part::JOBS])
    limited.wait_for_jobs(jobs)

    office = limited.office
    times = [arrival.at for arrival in office.arrivals]
    to_domain = [office.to(f"{number}@{DOMAIN}")[0].at for number in range(LIMITED)]
    beyond, beyond_domain = most_beyond(times, SERVER_RATE), most_beyond(to_domain, DOMAIN_RATE)
    print(
        f"\n{len(times)} messages in {max(times) - min(times):.1f} s, at most {beyond:.1f} beyond {SERVER_RATE}/s; "
        f"{LIMITED} of them to a domain, at most {beyond_domain:.1f} beyond {DOMAIN_RATE}/s"
    )
    assert len(times) == FREE + LIMITED
    assert beyond <= SERVER_RATE * SLACK_SECONDS
    assert beyond_domain <= DOMAIN_RATE * SLACK_SECONDS
    with limited.database() as database:
        row = database.execute(WORKERS).fetchone()
    # Children, of whom one worker has not as many.
    assert row is not None
    assert row[0] > SLOTS
