import base64

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.tokens import issue_access_token
from shared.ids import new_id
from shared.settings import Settings
from tests.integration.auth.conftest import Member, bearer


def encode_part(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ({}, "Bearer"),
        ({"Authorization": "Basic YWRhOnNlY3JldA=="}, "Bearer"),
        ({"Authorization": "Bearer"}, 'Bearer error="invalid_token"'),
        ({"Authorization": "Bearer not-a-token"}, 'Bearer error="invalid_token"'),
        ({"Authorization": f"Bearer {'x' * 20_000}"}, 'Bearer error="invalid_token"'),
    ],
)
def test_without_a_good_token_there_is_no_account(client: TestClient, header: dict[str, str], challenge: str) -> None:
    for path in ("/v1/users/me", "/v1/jobs"):
        response = client.get(path, headers=header)
        assert response.status_code == 401
        assert response.json()["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == challenge


def test_a_refresh_token_is_no_access_token(client: TestClient, member: Member) -> None:
    assert client.get("/v1/users/me", headers=bearer(member.refresh_token)).status_code == 401


def test_a_token_of_a_user_that_is_gone_is_refused(client: TestClient, settings: Settings) -> None:
    token, _ = issue_access_token(settings, new_id(), "user")
    assert client.get("/v1/users/me", headers=bearer(token)).status_code == 401
    assert client.patch("/v1/users/me", headers=bearer(token), json={"name": "Eve"}).status_code == 401


@pytest.fixture
def seed(settings: Settings) -> str:
    """Make a token of ours that has expired, so that no combination of its parts is good."""
    expired = settings.model_copy(update={"access_token_minutes": -1})
    return issue_access_token(expired, new_id(), "user")[0]


@hypothesis_settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(drawn=st.data())
def test_no_authorization_header_gives_a_500(app: FastAPI, seed: str, drawn: st.DataObject) -> None:
    part = st.one_of(
        st.binary(max_size=60).map(encode_part),
        st.text('[]{}:,"0123456789eE.-nulltrueINFay', max_size=60).map(lambda text: encode_part(text.encode())),
        st.sampled_from([*seed.split("."), encode_part(b'{"alg": "none"}'), encode_part(b'{"alg": "HS256"}')]),
    )
    token = st.one_of(
        st.lists(part, min_size=1, max_size=5).map(lambda parts: ".".join(parts).encode()),
        st.binary(max_size=200),
        st.just(seed.encode()),
    )
    scheme = st.sampled_from([b"Bearer ", b"bearer ", b"BEARER\t", b"Basic ", b"", b"Bearer  "])
    header = drawn.draw(scheme) + drawn.draw(token)
    # Not started: its pools draw random numbers in their thread, which Hypothesis takes for a strategy's.
    client = TestClient(app, raise_server_exceptions=False)
    response = client.get("/v1/users/me", headers=[(b"Authorization", header)])
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
