"""What the client does for operators, on a whole Jobyard; both editions."""

from typing import Any

import psycopg
import pytest

from jobyard import Forbidden, NotFound, TooLarge
from tests.faults.conftest import Yard
from tests.integration.client.conftest import PASSWORD, Connect, Login


@pytest.fixture
def operator(connect: Connect, url: str, login: Login, yard: Yard) -> Any:
    """Open a client of the edition under test for an operator, beside whoever has the login of the test."""
    email = f"operator-{login['email']}"
    client = connect(url, email=email, password=PASSWORD)
    client.register(email, PASSWORD)
    with psycopg.connect(yard.stack.endpoints.database_url) as database:
        database.execute("UPDATE users SET role = 'operator' WHERE email = %s", (email,))
    return client


def test_a_queue_is_paused_seen_and_resumed(operator: Any) -> None:
    paused = operator.admin.pause_queue("archives")
    try:
        assert (paused.name, paused.paused, paused.paused_by) == ("archives", True, operator.me().id)
        file = operator.files.upload(b"content", name="a.txt")
        job = operator.archives.create([file])
        seen = {queue.name: queue for queue in operator.admin.queues()}["archives"]
        assert (seen.paused_at, seen.waiting, seen.waiting_capped) == (paused.paused_at, 1, False)
        assert operator.jobs.get(job).state == "queued"
    finally:
        resumed = operator.admin.resume_queue("archives")
    assert (resumed.paused, resumed.paused_at) == (False, None)
    assert operator.jobs.wait(job, 30).succeeded
    with pytest.raises(NotFound):
        operator.admin.pause_queue("no-such")


def test_workers_are_listed_and_all_are_told_and_files_are_cleaned(operator: Any) -> None:
    (worker,) = operator.admin.workers()
    assert (worker.consuming, worker.healthy) == (True, True)
    assert "archives" in worker.queues
    told = [operator.admin.broadcast("Maintenance begins.", idempotency_key="once") for _ in range(2)]
    assert (told[0], told[0].message) == (told[1], "Maintenance begins.")
    job = operator.jobs.wait(operator.admin.clean_files(dry_run=True), 30, check=True)
    assert (job.kind, job.input["dry_run"]) == ("files.clean", True)


def test_what_a_user_may_store_is_read_and_set(operator: Any, client: Any) -> None:
    user = client.me()
    before = operator.admin.quota(user)
    assert (before.user_id, before.max_bytes, before.usage.files) == (user.id, None, 0)
    assert operator.admin.set_quota(user, max_bytes=10, max_files=0).usage.max_bytes == 10
    assert client.limits().quota == {"max_bytes": 10, "bytes": 0, "max_files": None, "files": 0}
    with pytest.raises(TooLarge):
        client.files.upload(b"more than ten bytes", name="a.txt")
    assert operator.admin.set_quota(user.id, max_bytes=None, max_files=None).max_bytes is None
    with pytest.raises(NotFound):
        operator.admin.quota("0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44")


def test_who_is_no_operator_is_refused(client: Any) -> None:
    for refused in (client.admin.queues, client.admin.workers):
        with pytest.raises(Forbidden):
            refused()
