"""What the tests of jobs over HTTP share."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.conftest import Owner

JSON = dict[str, Any]
Post = Callable[..., Any]


@pytest.fixture
def post(client: TestClient, owner: Owner) -> Post:
    def post_job(body: JSON, **headers: str) -> Any:
        return client.post("/v1/jobs", json=body, headers=owner.headers | headers)

    return post_job


def echo(**options: Any) -> JSON:
    return {"kind": "test.echo", "input": {"text": "hello"}} | options
