"""What OpenAPI promises holds for every request that can be made of it: schemathesis makes them."""

from collections.abc import Callable, Generator
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig
from schemathesis.python import asgi

from api.app import create_app
from shared.settings import Settings
from tests.conftest import Owner

import os
EXAMPLES = int(os.environ["N"])
SEED = int(os.environ.get("SEED", "7"))

Make = Callable[[], str]


def _config(headers: dict[str, str]) -> schemathesis.Config:
    generation = GenerationConfig(max_examples=EXAMPLES, deterministic=True, database="none", no_shrink=True)
    project = ProjectConfig(headers=headers, generation=generation)
    return schemathesis.Config(seed=SEED, projects=ProjectsConfig(default=project))


@pytest.fixture
def api_schema(
    request: pytest.FixtureRequest, settings: Settings, owner: Owner
) -> Generator[schemathesis.BaseSchema]:
    """Load the document of an application of its own, which is asked in this process."""
    # Schemathesis reads an attribute that pytest 9.2 no longer has.
    vars(request.node)["_nodeid"] = request.node.nodeid
    try:
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(settings), config=_config(owner.headers))
    finally:
        asgi.shutdown_lifespans()


@pytest.fixture
def makers(client: TestClient, owner: Owner) -> dict[str, Make]:
    """Give what makes something for each parameter of a path: only what exists is answered with more than 404."""

    def post(path: str, **request: Any) -> Any:
        answer = client.post(path, headers=owner.headers, **request)
        assert answer.is_success
        return answer.json()

    cancelled = cycle([False, True])

    def make_job() -> str:
        job = post("/v1/jobs", json={"kind": "test.echo", "input": {}})
        return post(job["links"]["cancel"])["id"] if next(cancelled) else job["id"]

    return {
        "job_id": make_job,
        "file_id": lambda: post("/v1/files", content=b"words")["id"],
        "email_id": lambda: post("/v1/emails", json={"to": ["a@example.com"], "subject": "", "text": "x"})["id"],
    }


schema = schemathesis.pytest.from_fixture("api_schema")


# Its own strategies for arrays do; Hypothesis seeds the module for each example, so runs stay equal.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@schema.parametrize()
def test_every_answer_is_a_promised_one(case: schemathesis.Case, makers: dict[str, Make]) -> None:
    if case.meta is None or case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        case.path_parameters.update({name: makers[name]() for name in case.path_parameters if name in makers})
    if "wait" in str(case.headers.get("Prefer", "")):
        case.headers["Prefer"] = "wait=0"  # nobody works here, so every second of waiting is lost
    collect(case)

import collections, json, atexit
from schemathesis.core.failures import FailureGroup
FOUND = {}
COUNT = collections.Counter()
STAT = collections.Counter()
def collect(case):
    response = case.call()
    STAT[(case.operation.label, response.status_code)] += 1
    try:
        case.validate_response(response)
    except FailureGroup as group:
        for f in group.exceptions:
            text = response.text[:300]
            try:
                doc = response.json(); key = doc.get("code"), str([(e["pointer"], e["code"]) for e in doc.get("errors") or []])[:120]
            except Exception: key = text[:60]
            k = (case.operation.label, type(f).__name__, response.status_code, str(key))
            COUNT[k] += 1
            FOUND.setdefault(k, (str(f)[:600], case.as_curl_command()[:900], text))
def out():
    with open(os.environ["OUT"], "w") as o:
        for k, n in sorted(COUNT.items(), key=lambda i: (i[0][1], i[0])):
            print("##", n, k, file=o)
            for line in FOUND[k]: print("   ", line, file=o)
        print("STAT", file=o)
        for k, n in sorted(STAT.items()): print(k, n, file=o)
atexit.register(out)
