"""Mail servers that are slow or away, beside others that are not."""

from shared.job_queue import NUDGE
from tests.faults.mail.conftest import FAST, SLOW, MailYard, by_state, email
from tests.faults.mail.office import Step
from tests.polling import await_that

MANY = 12
"""More jobs than the worker has slots."""
# Those that found no place at the slow server would look again after some seconds.
LOOK_AGAIN = "UPDATE jobs SET run_at = clock_timestamp() WHERE state = 'retrying' AND run_at > clock_timestamp()"
ENDED = "SELECT bool_and(finished_at IS NOT NULL) FROM jobs WHERE id = ANY(%s::uuid[])"


def test_a_slow_server_does_not_hold_up_the_mail_of_another(routed: MailYard) -> None:
    slow, fast = routed.offices[SLOW], routed.offices[FAST]
    held = [slow.gate(Step.RCPT) for _ in range(MANY)]

    # Singly: each has a job of its own.
    jobs = [routed.send([email(f"slow{number}@example.net", tag="slow", domain=SLOW)]) for number in range(MANY)]
    held[0].wait_taken()
    quick = [routed.send([email(f"fast{number}@example.net", tag="fast", domain=FAST)]) for number in range(MANY)]
    routed.wait_for_jobs(set().union(*quick))

    assert len(fast.arrivals) == MANY
    assert len(slow.arrivals) == 0
    slow.clear_gates()
    wait_for_snoozing(routed, set().union(*jobs))
    assert [len(slow.to(f"slow{number}@example.net")) for number in range(MANY)] == [1] * MANY


def wait_for_snoozing(routed: MailYard, jobs: set[str]) -> None:
    """Wait for the end of jobs, and spare them their pauses."""
    ids = [path.rpartition("/")[2] for path in jobs]
    with routed.database() as database:

        def look() -> bool:
            if database.execute(LOOK_AGAIN).rowcount:
                database.execute(NUDGE)
            return database.execute(ENDED, (ids,)).fetchone() == (True,)

        await_that(look)


def test_mail_waits_for_a_server_that_is_away(routed: MailYard) -> None:
    office = routed.office
    office.close()
    jobs = routed.send([email(f"away{number}@example.net", tag="away") for number in range(MANY)])
    await_that(lambda: routed.states("away") == {f"away{number}@example.net": "deferred" for number in range(MANY)})

    office.open()
    ended = routed.wait_for_jobs(jobs)

    assert by_state(routed.states("away")).keys() == {"sent"}
    assert [len(office.to(f"away{number}@example.net")) for number in range(MANY)] == [1] * MANY
    # That the server was away is no fault of the job's: it costs none of its attempts.
    assert {job["attempt"] for job in ended} == {1}
