"""The client's methods beside OpenAPI: each operation and each of its options has one, but for some, with reasons."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from jobyard.calls import Resource, call, stream
from jobyard.client import Client
from jobyard.session import Session
from jobyard.sync_runner import SyncRunner
from tests.contracts.client_calls import CALLS
from tests.contracts.described_interface import Interface
from tests.contracts.described_server import Asked, DescribedServer

NO_METHOD = {
    "GET /health/live": "what starts and watches the server asks it, not who uses it",
    "GET /health/ready": "the same",
    "POST /v1/auth/token": "for tools that know OAuth 2; the client signs in at /v1/auth/login",
    "GET /v1/unsubscribe/{token}": "for recipients, who come by a link",
    "HEAD /v1/unsubscribe/{token}": "the same",
    "POST /v1/unsubscribe/{token}": "for recipients' mail programs",
    "OPTIONS /v1/uploads": "the client speaks one version of tus, and `limits` tells how large a file may be",
    "HEAD /v1/files/{file_id}/content": "`files.get` tells size, type and SHA-256",
}
_IN_RENDITIONS = "a form's way to ask for one rendition; the client sends `renditions`"
_OF_A_LINK = "stands in a link, which needs no client"
_NO_HEADERS = "for browsers, which cannot send the token"
NOT_TOLD = {
    "GET /v1/events": {"ticket": _NO_HEADERS},
    "GET /v1/jobs/{job_id}/events": {"ticket": _NO_HEADERS},
    "GET /v1/files/{file_id}/content": {
        "expires": _OF_A_LINK,
        "key_id": _OF_A_LINK,
        "disposition": "for browsers, which show or save",
    },
    "POST /v1/images": dict.fromkeys(
        ("width", "height", "fit", "gravity", "format", "quality", "progressive", "background", "enlarge"),
        _IN_RENDITIONS,
    ),
}
"""Options of operations that have a method, and why it does not take them."""


@pytest.fixture
def interface(app: FastAPI) -> Interface:
    """Give the interface as it is described."""
    return Interface(app.openapi())


@pytest.fixture
def asked(interface: Interface) -> list[Asked]:
    """Call every method of the client, and give the requests that they made."""
    server = DescribedServer(interface)
    for calls in CALLS.values():
        for each in calls:
            client = Client(_session(), server)
            server.make(lambda each=each, client=client: each(client))
    return server.asked


def _session() -> Session:
    return Session(base_url="http://jobyard.example", timeout=1, retries=0, token="t", refresh_token="r")


def _methods(resource: Resource[SyncRunner], prefix: str = "") -> Iterator[str]:
    for base in type(resource).__mro__:
        yield from (prefix + name for name, value in vars(base).items() if isinstance(value, call | stream))
    for name, value in vars(resource).items():
        if isinstance(value, Resource):
            yield from _methods(value, f"{prefix}{name}.")


def test_every_method_of_the_client_is_called_here(interface: Interface) -> None:
    assert set(CALLS) == set(_methods(Client(_session(), DescribedServer(interface))))


def test_every_operation_has_a_method(interface: Interface, asked: list[Asked]) -> None:
    named = {each.operation for each in asked}
    assert set(interface.operations) - named == set(NO_METHOD)


def test_every_option_of_an_operation_can_be_told_and_no_other_is(interface: Interface, asked: list[Asked]) -> None:
    for operation in {each.operation for each in asked}:
        told = frozenset[str]().union(*(each.told for each in asked if each.operation == operation))
        assert interface.options(operation) - told == set(NOT_TOLD.get(operation, ())), operation
        assert told - interface.options(operation) == set(), operation


def test_whatever_takes_a_key_is_given_one(interface: Interface, asked: list[Asked]) -> None:
    keyed = [each for each in asked if interface.takes_key(each.operation)]
    assert keyed
    assert [each.operation for each in keyed if not each.keyed] == []
