"""What operators see and do: queues, their pauses, workers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from celery.exceptions import Ignore
from fastapi.testclient import TestClient

from api import queues
from shared.ids import new_id
from shared.job_kind import QUEUES, JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner, make_owner

Database = psycopg.Connection
Kinds = dict[str, JobKind]

ROUTES = [
    ("GET", "/v1/admin/queues"),
    ("POST", "/v1/admin/queues/default/pause"),
    ("POST", "/v1/admin/queues/default/resume"),
    ("GET", "/v1/admin/workers"),
]
IDLE = {
    "paused": False, "paused_at": None, "paused_by": None, "waiting": 0, "waiting_capped": False, "dispatched": 0,
    "running": 0, "scheduled": 0, "retrying": 0, "delayed_capped": False, "oldest_queued_seconds": None,
    "wait_p95_seconds": None,
}  # fmt: skip


def read_queue(client: TestClient, operator: Owner, name: str = "default") -> dict[str, Any]:
    answer = client.get("/v1/admin/queues", headers=operator.headers)
    assert answer.status_code == 200
    [found] = [item for item in answer.json()["items"] if item["name"] == name]
    return found


def post(client: TestClient, operator: Owner, action: str, queue: str = "default") -> dict[str, Any]:
    answer = client.post(f"/v1/admin/queues/{queue}/{action}", headers=operator.headers)
    assert answer.status_code == 200
    return answer.json()


def enqueue(database: Database, kinds: Kinds, owner: Owner, count: int = 1, **options: Any) -> list[UUID]:
    return [
        factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id, {"text": "x"}, **options))
        for _ in range(count)
    ]


def put(database: Database, job_ids: list[UUID], change: bytes) -> None:
    database.execute(b"UPDATE jobs SET " + change + b" WHERE id = ANY(%s)", (job_ids,))


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_only_operators_and_admins_are_let_in(
    client: TestClient, database: Database, settings: Settings, owner: Owner, operator: Owner, method: str, path: str
) -> None:
    admin = make_owner(database, settings, "admin@example.com", "admin")
    for caller in (operator, admin):
        assert client.request(method, path, headers=caller.headers).status_code == 200
    refused = client.request(method, path, headers=owner.headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert client.request(method, path).status_code == 401


def test_all_queues_are_listed_in_the_order_of_the_code(client: TestClient, operator: Owner) -> None:
    items = client.get("/v1/admin/queues", headers=operator.headers).json()["items"]
    assert items == [{"name": name} | IDLE for name in QUEUES]


def test_jobs_are_counted_by_where_they_are(
    client: TestClient, database: Database, kinds: Kinds, owner: Owner, stranger: Owner, operator: Owner
) -> None:
    enqueue(database, kinds, stranger, 2)
    dispatched, running, scheduled, retrying, done = (enqueue(database, kinds, owner, n) for n in (3, 4, 5, 6, 7))
    put(database, dispatched, b"dispatched_at = now()")
    put(database, running + retrying, b"state = 'running'")
    put(database, retrying, b"state = 'retrying'")
    put(database, done, b"state = 'cancelled', finished_at = now()")
    database.execute("ALTER TABLE jobs DISABLE TRIGGER jobs_legal_transition")
    put(database, scheduled, b"state = 'scheduled'")
    database.execute("ALTER TABLE jobs ENABLE TRIGGER jobs_legal_transition")
    seen = read_queue(client, operator)
    names = ("waiting", "dispatched", "running", "scheduled", "retrying")
    assert [seen[name] for name in names] == [2, 3, 4, 5, 6]
    assert read_queue(client, operator, "images") == {"name": "images"} | IDLE


def test_counting_ends_at_a_limit(
    client: TestClient, database: Database, kinds: Kinds, owner: Owner, operator: Owner
) -> None:
    [first] = enqueue(database, kinds, owner)
    copy = """
        INSERT INTO jobs (id, owner_id, kind, queue, state, input, run_at, max_attempts)
        SELECT gen_random_uuid(), owner_id, kind, queue, %s, input, run_at, 1 FROM jobs, generate_series(1, %s)
        WHERE id = %s
    """
    for state in ("queued", "scheduled"):
        database.execute(copy, (state, queues.MOST_COUNTED + 1, first))
    seen = read_queue(client, operator)
    assert (seen["waiting"], seen["waiting_capped"]) == (queues.MOST_COUNTED, True)
    assert (seen["scheduled"], seen["delayed_capped"]) == (queues.MOST_COUNTED + 1, True)


@pytest.mark.parametrize("oldest", ["a lane's only", "behind an urgent one", "dispatched", "of another owner"])
def test_the_oldest_is_found_whoever_has_it(
    client: TestClient, database: Database, kinds: Kinds, owner: Owner, stranger: Owner, operator: Owner, oldest: str
) -> None:
    enqueue(database, kinds, owner, 3)
    enqueue(database, kinds, owner, 2, priority=5)
    enqueue(database, kinds, stranger, 2, priority=-5)
    made = {
        "a lane's only": lambda: enqueue(database, kinds, owner, concurrency_key="k"),
        "behind an urgent one": lambda: enqueue(database, kinds, owner),
        "dispatched": lambda: enqueue(database, kinds, owner),
        "of another owner": lambda: enqueue(database, kinds, stranger, priority=-7),
    }[oldest]()
    put(database, made, b"run_at = now() - interval '1 hour'")
    if oldest == "dispatched":
        put(database, made, b"dispatched_at = now()")
    assert 3600 <= read_queue(client, operator)["oldest_queued_seconds"] < 3660


def test_the_wait_is_of_first_attempts_in_the_last_hour(
    client: TestClient, database: Database, kinds: Kinds, owner: Owner, operator: Owner
) -> None:
    ended = enqueue(database, kinds, owner, 21)
    put(database, ended, b"state = 'running', fence = 1, started_at = run_at + interval '1 second'")
    put(database, ended[:2], b"started_at = run_at + interval '9 seconds'")
    put(database, ended[2:5], b"started_at = run_at + interval '99 seconds'")
    put(database, ended[2:3], b"fence = 2")
    put(database, ended, b"state = 'succeeded', finished_at = now()")
    put(database, ended[3:4], b"finished_at = now() - interval '61 minutes'")
    put(database, ended[4:5], b"started_at = NULL")
    # Of the 18 that count, two waited for 9 s: the 95th percentile lies between the two.
    assert read_queue(client, operator)["wait_p95_seconds"] == pytest.approx(9.0)


def test_a_pause_takes_back_what_no_worker_has_begun(
    client: TestClient, database: Database, kinds: Kinds, owner: Owner, operator: Owner, settings: Settings
) -> None:
    [job_id] = enqueue(database, kinds, owner)
    sequence = factories.dispatch(database, "default")[job_id]

    paused = post(client, operator, "pause")

    assert (paused["paused"], paused["paused_by"], paused["waiting"]) == (True, str(operator.id), 1)
    with factories.open_runner(settings, kinds) as runner:
        with pytest.raises(Ignore):
            runner.run(kinds["test.echo"], str(job_id), sequence)
        assert factories.read_state(database, job_id) == "queued"
        assert post(client, operator, "resume")["paused"] is False
        assert factories.run_job(runner, database, kinds["test.echo"], job_id) == "succeeded"


def test_a_pause_is_for_one_queue_and_not_for_what_runs(
    client: TestClient, database: Database, kinds: Kinds, owner: Owner, operator: Owner
) -> None:
    here, elsewhere, running = (enqueue(database, kinds, owner, 1)[0] for _ in range(3))
    put(database, [elsewhere], b"queue = 'mail'")
    put(database, [here, elsewhere, running], b"dispatched_at = now()")
    put(database, [running], b"state = 'running'")
    post(client, operator, "pause")
    out = database.execute("SELECT id FROM jobs WHERE dispatched_at IS NOT NULL").fetchall()
    assert {row[0] for row in out} == {elsewhere, running}
    assert [item["paused"] for item in client.get("/v1/admin/queues", headers=operator.headers).json()["items"]] == [
        name == "default" for name in QUEUES
    ]


def test_pausing_and_resuming_bear_repetition(
    client: TestClient, database: Database, settings: Settings, operator: Owner
) -> None:
    other = make_owner(database, settings, "admin@example.com", "admin")
    first = post(client, operator, "pause")
    again = post(client, other, "pause")
    assert (again["paused_at"], again["paused_by"]) == (first["paused_at"], str(operator.id))
    for _ in range(2):
        resumed = post(client, other, "resume")
        assert (resumed["paused"], resumed["paused_at"], resumed["paused_by"]) == (False, None, None)
    assert post(client, other, "pause")["paused_by"] == str(other.id)
    assert post(client, operator, "resume", "mail") == {"name": "mail"} | IDLE


def test_resuming_wakes_the_dispatcher(client: TestClient, operator: Owner, settings: Settings) -> None:
    post(client, operator, "pause")
    with psycopg.connect(settings.database_url, autocommit=True) as listener:
        listener.execute("LISTEN jobyard_ready")
        post(client, operator, "resume")
        assert [notice.channel for notice in listener.notifies(timeout=20, stop_after=1)] == ["jobyard_ready"]


@pytest.mark.parametrize("action", ["pause", "resume"])
@pytest.mark.parametrize("name", ["nothing", "DEFAULT", "%00", "a%20b"])
def test_unknown_queues(client: TestClient, operator: Owner, action: str, name: str) -> None:
    answer = client.post(f"/v1/admin/queues/{name}/{action}", headers=operator.headers)
    assert (answer.status_code, answer.json()["code"]) == (404, "queue_not_found")


def test_a_token_that_outlives_its_operator_pauses_nothing(
    client: TestClient, database: Database, operator: Owner
) -> None:
    post(client, operator, "pause", "mail")
    database.execute("DELETE FROM users WHERE id = %s", (operator.id,))
    answer = client.post("/v1/admin/queues/default/pause", headers=operator.headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    kept = read_queue(client, operator, "mail")
    assert (kept["paused"], kept["paused_by"]) == (True, None)


def test_workers(client: TestClient, database: Database, operator: Owner) -> None:
    insert = """
        INSERT INTO workers (id, name, pid, queues, slots, busy, consuming, seen_at)
        VALUES (%s, %s, 7, '{default,mail}', 2, 1, %s, now() - %s)
    """
    for name, consuming, silent in (("b-well", True, 40), ("a-deaf", False, 0), ("c-lost", True, 50)):
        database.execute(insert, (new_id(), name, consuming, timedelta(seconds=silent)))
    items = client.get("/v1/admin/workers", headers=operator.headers).json()["items"]
    assert [(item["name"], item["healthy"]) for item in items] == [
        ("a-deaf", False),
        ("b-well", True),
        ("c-lost", False),
    ]
    assert items[1] | {"id": "", "started_at": "", "seen_at": ""} == {
        "id": "", "name": "b-well", "pid": 7, "queues": ["default", "mail"], "slots": 2, "busy": 1, "consuming": True,
        "healthy": True, "started_at": "", "seen_at": "", "received_at": None,
    }  # fmt: skip
