"""One key, many requests, and a web process that dies at the worst moment."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx2
import psycopg
import pytest

from ops.postgres import LocalPostgres
from ops.redis import LocalRedis
from shared.settings import Settings
from tests.api_server import Server, running_server
from tests.conftest import Owner, make_settings
from tests.integration.files.bodies import count
from tests.integration.idempotency.requests import Sending, assert_problem, assert_replayed, read_answer
from tests.integration.idempotency.slow_uploads import HALF, held_upload, let_leases_lapse

SENDS = 50
DIES_AFTER_COMMIT = Path(__file__).parent / "programs" / "web_dies_after_commit.py"

JOB = Sending("/v1/jobs", "jobs", {"json": {"kind": "demo.countdown", "input": {"steps": 3}}})
EMAIL = Sending("/v1/emails", "emails", {"json": {"to": ["ann@example.com"], "subject": "Hello", "text": "Words"}})
FILE = Sending("/v1/files?process=file.inspect", "jobs", {"files": {"file": ("a.txt", b"some words")}})


@pytest.fixture(scope="module")
def servers(
    postgres: LocalPostgres, redis_server: LocalRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Server]]:
    """Run two servers, which nothing happens to."""
    settings = make_settings(postgres.url, redis_server.url, tmp_path_factory.mktemp("storage"))
    with running_server(settings) as one, running_server(settings) as other:
        yield [one, other]


@pytest.mark.parametrize("sending", [JOB, EMAIL], ids=["job", "e-mail"])
def test_fifty_sends_of_one_key_to_two_servers_make_one_row(
    servers: list[Server], owner: Owner, database: psycopg.Connection, sending: Sending
) -> None:
    at_once = Barrier(SENDS)
    with ExitStack() as stack:
        clients = [stack.enter_context(servers[number % 2].client()) for number in range(SENDS)]

        def send(client: httpx2.Client) -> tuple[Any, float]:
            at_once.wait()
            begun = time.perf_counter()
            return sending.send(client, owner), time.perf_counter() - begun

        with ThreadPoolExecutor(SENDS) as pool:
            sent = list(pool.map(send, clients))

    answers = [answer for answer, _ in sent]
    rows, equal = count(database, sending.table), Counter(read_answer(answer) for answer in answers)
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers].count("true")
    slowest = max(seconds for _, seconds in sent)
    print(
        f"\n{SENDS} sends to 2 servers: {rows} row, {len(equal)} answer, {replayed} replayed, slowest {slowest:.3f} s"
    )
    assert (rows, list(equal.values()), replayed) == (1, [SENDS], SENDS - 1)
    assert answers[0].status_code == 202


@pytest.mark.parametrize("sending", [JOB, EMAIL, FILE], ids=["job", "e-mail", "file and job"])
def test_what_was_committed_before_the_server_died_is_answered_by_another(
    settings: Settings, servers: list[Server], owner: Owner, database: psycopg.Connection, sending: Sending
) -> None:
    with running_server(settings, program=str(DIES_AFTER_COMMIT)) as doomed, doomed.client() as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            sending.send(client, owner)
        assert doomed.wait_exit() == -signal.SIGKILL
    committed = database.execute("SELECT id FROM jobs").fetchall()

    with servers[0].client() as client:
        answers = [sending.send(client, owner) for _ in range(2)]

    assert [answer.headers["idempotency-replayed"] for answer in answers] == ["true", "true"]
    [(job_id,)] = database.execute("SELECT id FROM jobs").fetchall()
    print(f"\nkilled between COMMIT and answer: {len(committed)} job before, 1 after, the client was answered with it")
    assert (committed, answers[0].status_code) == ([(job_id,)], 202)
    assert str(job_id) in answers[0].text
    assert read_answer(answers[0]) == read_answer(answers[1])


def test_the_lease_of_a_server_that_died_while_receiving_lapses(
    settings: Settings, servers: list[Server], owner: Owner, database: psycopg.Connection
) -> None:
    sending = Sending("/v1/files", "files", {"content": HALF + HALF})
    with servers[0].client() as client:
        with running_server(settings) as doomed, held_upload(doomed, owner, database):
            doomed.memory.kill()
            doomed.wait_exit()
        assert_problem(sending.send(client, owner), 409, "idempotency_key_in_use")
        row = database.execute("SELECT lease_expires_at - clock_timestamp() FROM idempotency_keys").fetchone()
        assert row is not None
        print(f"\nkilled while receiving: its lease lapses in {row[0].total_seconds():.1f} s")
        let_leases_lapse(database)
        assert_replayed(sending.send(client, owner), sending.send(client, owner))
    assert count(database, "files") == 1
