"""What OpenAPI promises holds for every request that can be made of it: schemathesis makes them."""

from collections.abc import Callable, Generator
from itertools import cycle
from typing import Any

import psycopg
import pytest
import schemathesis
from fastapi.testclient import TestClient
from schemathesis.config import GenerationConfig, ProjectConfig, ProjectsConfig
from schemathesis.config._checks import NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES as _REJECTIONS
from schemathesis.config._checks import ChecksConfig, MissingRequiredHeaderConfig, NegativeDataRejectionConfig
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)

from api.app import create_app
from api.tus_headers import BODY_TYPE
from api.unsubscribe_links import UnsubscribeLinks
from shared.ids import new_id
from shared.job_kind import QUEUES
from shared.settings import Settings
from tests.conftest import Owner, make_owner
from tests.contracts.makers import WEBHOOK_URL, Maker
from tests.integration.files.bodies import PNG

EXAMPLES = 15
SEED = 20261124

Case = schemathesis.Case[Any]
Check = Callable[..., bool | None]
Make = Callable[[], str]


def _config(headers: dict[str, str]) -> schemathesis.Config:
    generation = GenerationConfig(max_examples=EXAMPLES, deterministic=True, database="none", no_shrink=True)
    checks = ChecksConfig(
        negative_data_rejection=NegativeDataRejectionConfig(expected_statuses=[*_REJECTIONS, "412"]),
        missing_required_header=MissingRequiredHeaderConfig(expected_statuses=["400", "401", "412", "415", "422"]),
    )
    project = ProjectConfig(headers=headers, generation=generation, checks=checks)
    return schemathesis.Config(seed=SEED, projects=ProjectsConfig(default=project))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Have the kinds of job that everybody has; those of the tests would make half of all requests."""
    return settings.model_copy(update={"job_modules": ["worker.jobs"]})


@pytest.fixture
def owner(database: psycopg.Connection, settings: Settings) -> Owner:
    """Make an operator, who is let in everywhere."""
    return make_owner(database, settings, "owner@example.com", "operator")


@pytest.fixture
def api_schema(request: pytest.FixtureRequest, settings: Settings, owner: Owner) -> Generator[schemathesis.BaseSchema]:
    """Load the document of an application of its own, which is asked in this process."""
    # Schemathesis reads an attribute that pytest 9.2 no longer has.
    vars(request.node)["_nodeid"] = request.node.nodeid
    try:
        application = create_app(settings)
        # As of a server that stops: a stream tells what there is and ends, where it would go on for good.
        application.state.resources.changes.stop()
        yield schemathesis.openapi.from_asgi("/openapi.json", application, config=_config(owner.headers))
    finally:
        asgi.shutdown_lifespans()


@pytest.fixture
def makers(client: TestClient, settings: Settings, owner: Owner, stranger: Owner) -> dict[str, Make]:
    """Give what makes something for each parameter of a path."""
    make, queues = Maker(client, owner), cycle(QUEUES)
    return {
        "job_id": make.job,
        "webhook_id": make.webhook,
        # Comes after its webhook in a path.
        "delivery_id": make.delivery,
        "upload_id": make.upload,
        "file_id": lambda: make.post("/v1/files", content=PNG)["id"],
        "name": make.named,
        "template": make.named,
        "url": lambda: WEBHOOK_URL,
        "webhook_url": lambda: WEBHOOK_URL,
        # Somebody else, or soon nothing could be stored any more.
        "user_id": lambda: str(stranger.id),
        "queue": lambda: next(queues),
        "address": lambda: make.post("/v1/suppressions", json={"address": "a+b/c@example.com"})["address"],
        "token": lambda: UnsubscribeLinks(settings).url("", owner.id, "a@example.com").rpartition("/")[2],
        "email_id": lambda: make.post("/v1/emails", json={"to": ["a@example.com"], "subject": "", "text": "x"})["id"],
        "mailing_id": make.mailing,
    }


def _with_what_exists(value: Any, makers: dict[str, Make]) -> Any:
    """Put ids of files that exist, and addresses and URLs that could, into a body."""
    if isinstance(value, list):
        return [_with_what_exists(item, makers) for item in value]
    if not isinstance(value, dict):
        return value
    replaced: dict[str, Any] = {}
    for name, item in value.items():
        if name in {"file_id", "template", "url", "webhook_url"}:
            replaced[name] = makers[name]()
        elif name in {"file_ids", "attachment_ids"}:
            replaced[name] = [makers["file_id"]() for _ in item[:3]]
        elif name == "to" and isinstance(item, str):
            replaced[name] = f"a{new_id()}@example.com"
        elif name in {"to", "cc", "bcc"}:
            replaced[name] = [f"{name}{place}@example.com" for place, _ in enumerate(item)]
        elif name not in {"from", "reply_to"}:
            replaced[name] = _with_what_exists(item, makers)
    return replaced


def _make_real(case: Case, makers: dict[str, Make]) -> None:
    case.path_parameters.update({name: makers[name]() for name in case.path_parameters if name in makers})
    case.query.pop("cursor", None)
    if case.path.startswith("/v1/uploads"):
        case.headers["Tus-Resumable"] = "1.0.0"
    if case.media_type == "application/json":
        case.body = _with_what_exists(case.body, makers)


def _excluded(case: Case) -> list[Check]:
    # A schema cannot say which address, cursor or media type is good, or that one field needs another: 422 is right.
    excluded: list[Check] = [positive_data_acceptance]
    if case.media_type == "multipart/form-data":
        # Whatever a part named `files` holds is a file: on the wire there is no wrong type for it.
        excluded.append(negative_data_rejection)
    if case.path in {"/v1/files/{file_id}/content", "/v1/jobs/{job_id}/events", "/v1/events"}:
        # Of its two ways in, a token or a signed link or ticket, the check knows the parameter alone.
        excluded.append(ignored_auth)
    if case.path.startswith("/v1/uploads"):
        # The check does not name the version of tus, and hears of that first.
        excluded.append(unsupported_method)
    if case.path == "/v1/webhooks/{webhook_id}/rotate-secret":
        # Its body may be left out, which the check takes for wrong.
        excluded.append(negative_data_rejection)
    if case.path == "/v1/emails/batch":
        # What is wrong with one e-mail of several is said of that one: the request is accepted.
        excluded.append(negative_data_rejection)
    if case.path in {"/v1/files/batch", "/v1/emails/batch", "/v1/jobs/bulk"}:
        # It is also a place where an id could stand: GET and DELETE say that it is none.
        excluded += [unsupported_method, allow_header_conformance]
    return excluded


schemathesis.serializer.alias(BODY_TYPE, "application/octet-stream")
schema = schemathesis.pytest.from_fixture("api_schema")


# Its own strategies for arrays do; Hypothesis seeds the module for each example, so runs stay equal.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@schema.parametrize()
def test_every_answer_is_a_promised_one(case: Case, makers: dict[str, Make]) -> None:
    if case.meta is None or case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        _make_real(case, makers)
    if "wait" in str(case.headers.get("Prefer", "")):
        case.headers["Prefer"] = "wait=0"  # nobody works here, so every second of waiting would be lost
    case.call_and_validate(excluded_checks=_excluded(case))
