"""What a connection is told: the jobs it names, those with its tags, all of its owner's; and no others."""

from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.ids import new_id
from shared.job_kind import JobKind
from tests import factories
from tests.conftest import Owner
from tests.integration.web_socket.conftest import JSON, Talk, talking

Kinds = dict[str, JobKind]


def enqueue(client: TestClient, owner: Owner, *tags: str, kind: str = "test.echo") -> JSON:
    answer = client.post("/v1/jobs", json={"kind": kind, "input": {}, "tags": tags}, headers=owner.headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def cancel(client: TestClient, owner: Owner, job: JSON) -> httpx2.Response:
    answer = client.post(job["links"]["cancel"], headers=owner.headers)
    assert answer.status_code == 200
    return answer


def code_of(message: JSON) -> tuple[str, str]:
    assert message["event"] == "error"
    return message["data"]["code"], message["ref"]


def subscribed(talk: Talk, **what: Any) -> JSON:
    answer = talk.ask(action="subscribe", ref="s", **what)
    assert (answer["event"], answer["ref"]) == ("subscribed", "s"), answer
    return answer["subscriptions"]


def test_a_job_begins_with_its_frame_and_goes_on_to_its_end(client: TestClient, owner: Owner) -> None:
    job = enqueue(client, owner)
    with talking(client, owner) as talk:
        assert subscribed(talk, jobs=[job["id"]]) == {"jobs": [job["id"]], "tags": [], "all": False, "kinds": []}
        assert talk.jobs(1) == [job]
        ended = cancel(client, owner, job).json()
        assert talk.jobs(1) == [ended]
        assert ended["done"]
        # It never changes again: the subscription is over.
        assert subscribed(talk) == {"jobs": [], "tags": [], "all": False, "kinds": []}


def test_a_frame_is_what_get_answers_byte_for_byte(client: TestClient, owner: Owner) -> None:
    job = enqueue(client, owner, "a")
    with talking(client, owner) as talk:
        subscribed(talk, jobs=[job["id"]])
        text = talk.session.receive_text()

    answer = client.get(job["links"]["self"], headers=owner.headers)
    assert text == f'{{"event":"job","data":{answer.text}}}'


def test_a_tag_is_a_room_that_begins_with_its_live_jobs(
    client: TestClient, owner: Owner, database: psycopg.Connection
) -> None:
    here, ended, other = (
        enqueue(client, owner, "x", "red"),
        enqueue(client, owner, "red"),
        enqueue(client, owner, "b"),
    )
    # Not by the API: its message could come when the subscription is there.
    database.execute("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = %s", (ended["id"],))
    with talking(client, owner) as talk:
        assert subscribed(talk, tags=["red", "blue"])["tags"] == ["red", "blue"]
        assert [job["id"] for job in talk.jobs(1)] == [here["id"]]
        cancel(client, owner, other)
        new = enqueue(client, owner, "blue")
        assert [job["id"] for job in talk.jobs(1)] == [new["id"]]
        assert talk.ask(action="unsubscribe", tags=["red", "green"])["subscriptions"]["tags"] == ["blue"]
        cancel(client, owner, here)
        cancel(client, owner, new)
        assert [(job["id"], job["done"]) for job in talk.jobs(1)] == [(new["id"], True)]
        assert talk.ask(action="ping")["event"] == "pong"


def test_all_of_an_owners_jobs_come_on_every_connection_of_theirs_and_on_no_other(
    client: TestClient, owner: Owner, stranger: Owner
) -> None:
    before = enqueue(client, owner)
    with talking(client, owner) as one, talking(client, owner) as two, talking(client, stranger) as other:
        for talk in (one, two, other):
            assert subscribed(talk, all=True) == {"jobs": [], "tags": [], "all": True, "kinds": []}
        new = enqueue(client, owner)
        for talk in (one, two):
            assert [job["id"] for job in talk.jobs(2)] == [before["id"], new["id"]]
        strangers = enqueue(client, stranger)
        assert [job["id"] for job in other.jobs(1)] == [strangers["id"]]


def test_kinds_narrow_all_and_naming_it_again_replaces_them(client: TestClient, owner: Owner) -> None:
    echo, countdown = enqueue(client, owner), enqueue(client, owner, kind="demo.countdown")
    with talking(client, owner) as talk:
        assert subscribed(talk, all=True, kinds=["demo.countdown"])["kinds"] == ["demo.countdown"]
        assert [job["id"] for job in talk.jobs(1)] == [countdown["id"]]
        assert subscribed(talk, all=True)["kinds"] == []
        assert [job["id"] for job in talk.jobs(1)] == [echo["id"]]


def test_a_connection_subscribed_twice_over_gets_each_change_once(client: TestClient, owner: Owner) -> None:
    job = enqueue(client, owner, "red")
    with talking(client, owner) as talk:
        subscribed(talk, jobs=[job["id"]], tags=["red"], all=True)
        assert talk.jobs(1) == [job]
        cancel(client, owner, job)
        assert talk.jobs(1)[0]["done"]
        assert talk.ask(action="ping")["event"] == "pong"


def test_who_subscribes_again_gets_the_job_again(client: TestClient, owner: Owner) -> None:
    job = enqueue(client, owner)
    with talking(client, owner) as talk:
        for _ in range(2):
            subscribed(talk, jobs=[job["id"]])
            assert talk.jobs(1) == [job]
            assert talk.ask(action="unsubscribe", jobs=[job["id"]])["event"] == "unsubscribed"


@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_subscribed_to_where_a_job_is_unknown_or_another_owners(
    client: TestClient, owner: Owner, stranger: Owner, *, known: bool
) -> None:
    mine, other = enqueue(client, owner, "red"), enqueue(client, stranger)["id"] if known else str(new_id())
    with talking(client, owner) as talk:
        error = talk.ask(action="subscribe", jobs=[mine["id"], other], tags=["red"], all=True, ref="7")

        assert code_of(error) == ("job_not_found", "7")
        assert (error["data"]["status"], error["data"]["type"]) == (404, "about:blank")
        assert [each["pointer"] for each in error["data"]["errors"]] == ["/jobs/1"]
        assert subscribed(talk) == {"jobs": [], "tags": [], "all": False, "kinds": []}
        cancel(client, owner, mine)
        assert talk.ask(action="ping")["event"] == "pong"


def test_a_failed_subscription_leaves_the_others(client: TestClient, owner: Owner) -> None:
    job = enqueue(client, owner)
    with talking(client, owner) as talk:
        subscribed(talk, all=True, kinds=["test.echo"], jobs=[job["id"]])
        talk.jobs(1)
        assert talk.ask(action="subscribe", all=True, jobs=[job["id"], str(new_id())])["event"] == "error"
        assert subscribed(talk) == {"jobs": [job["id"]], "tags": [], "all": True, "kinds": ["test.echo"]}
        enqueue(client, owner, kind="demo.countdown")
        cancel(client, owner, job)
        assert [each["id"] for each in talk.jobs(1)] == [job["id"]]


def test_a_connection_has_so_many_subscriptions_and_no_more(
    client: TestClient, owner: Owner, database: psycopg.Connection, kinds: Kinds
) -> None:
    ids = [str(factories.enqueue(database, factories.new_job(kinds["test.echo"], owner.id))) for _ in range(1000)]
    more = enqueue(client, owner)["id"]
    with talking(client, owner) as talk:
        assert len(subscribed(talk, jobs=ids, tags=[str(number) for number in range(100)])["jobs"]) == 1000
        assert {UUID(job["id"]) for job in talk.jobs(1000)} == {UUID(each) for each in ids}
        assert code_of(talk.ask(action="subscribe", jobs=[more], ref="j")) == ("too_many_subscriptions", "j")
        assert code_of(talk.ask(action="subscribe", tags=["more"], ref="t")) == ("too_many_subscriptions", "t")
        talk.ask(action="unsubscribe", jobs=ids[:1])
        assert len(subscribed(talk, jobs=[more, *ids[1:3]])["jobs"]) == 1000
