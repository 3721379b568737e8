"""Asking for mailings and running their jobs."""

import json
from contextlib import suppress
from typing import Any
from uuid import UUID

from celery.exceptions import Ignore
from celery.exceptions import Retry as CeleryRetry
from psycopg import sql

from tests.conftest import Owner
from tests.factories import dispatch, read_state
from tests.integration.emails.conftest import Post
from worker.runner import JobFailed

MAILINGS = "/v1/mailings"
JSON = {"Content-Type": "application/json"}
SOURCE = {
    "subject": "Hello {{ name }}",
    "text": "{{ name }}, until {{ ends }}.",
    "html": "<style>p { color: red }</style><p>{{ name }}, until {{ ends }}.</p>",
}


def put_template(post: Post, owner: Owner, name: str = "sale", **source: str | None) -> None:
    answer = post.client.put(f"/v1/email-templates/{name}", json=SOURCE | source, headers=owner.headers)
    assert answer.status_code in {200, 201}, answer.text


def recipients(count: int) -> list[dict[str, Any]]:
    return [{"to": f"a{number}@example.org", "variables": {"name": f"A{number}"}} for number in range(count)]


def body(count: int = 2, **more: Any) -> dict[str, Any]:
    return {"template": "sale", "variables": {"ends": "May"}, "recipients": recipients(count)} | more


def ask(post: Post, given: Any, **headers: str) -> Any:
    return post.client.post(MAILINGS, content=json.dumps(given), headers=post.owner.headers | JSON | headers)


def send(post: Post, count: int = 2, **more: Any) -> dict[str, Any]:
    answer = ask(post, body(count, **more))
    assert answer.status_code == 202, answer.text
    return answer.json()


def read(post: Post, mailing: dict[str, Any]) -> dict[str, Any]:
    answer = post.client.get(mailing["links"]["self"], headers=post.owner.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def cancel(post: Post, mailing: dict[str, Any]) -> Any:
    return post.client.post(mailing["links"]["cancel"], headers=post.owner.headers)


def job_ids(post: Post, mailing: dict[str, Any]) -> list[UUID]:
    rows = post.database.execute(
        "SELECT DISTINCT job_id FROM emails WHERE mailing_id = %s ORDER BY 1", (mailing["id"],)
    )
    return [row[0] for row in rows]


class Line:
    """Runs the jobs of mailings, which are all dispatched together, one after the other."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._marks = dispatch(post.database, "mail", kinds=[post.kind])

    def run(self, job_id: UUID) -> str:
        with suppress(CeleryRetry, Ignore, JobFailed):
            self._post.runner.run(self._post.kind, str(job_id), self._marks[job_id])
        return read_state(self._post.database, job_id)


def count(post: Post, table: str) -> int:
    found = post.database.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert found is not None
    return found[0]


def counted(mailing: dict[str, Any]) -> dict[str, int]:
    return {state: number for state, number in mailing["counts"].items() if number}


def emails(post: Post, mailing: dict[str, Any]) -> list[dict[str, Any]]:
    return post.client.get(mailing["links"]["emails"], headers=post.owner.headers).json()["items"]
