"""deploy/nginx.conf in a real nginx, in front of a real service."""

import gzip
import hashlib
import http.client
import socket
from collections.abc import Iterator

import httpx2
import pytest

from tests.contracts.nginx_server import Nginx, free_port, running_nginx
from tests.contracts.nginx_upstream import CONTENT, DEADLINE_SECONDS, Upstream, running_upstream

pytestmark = pytest.mark.root_linux
MEGABYTE = 1_000_000
HSTS = "max-age=31536000"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with running_upstream() as running:
        yield running


@pytest.fixture
def nginx(upstream: Upstream) -> Iterator[Nginx]:
    with running_nginx(upstream.port) as running:
        yield running


@pytest.fixture
def client(nginx: Nginx) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=nginx.url, verify=nginx.tls_context(), timeout=DEADLINE_SECONDS, trust_env=False) as it:
        yield it


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_of_20_megabytes_is_passed_on_while_it_is_sent(
    nginx: Nginx, upstream: Upstream, *, chunked: bool
) -> None:
    block, blocks = bytes(range(256)) * (MEGABYTE // 256), 20
    size = len(block) * blocks

    def body() -> Iterator[bytes]:
        yield block
        # Behind a buffering proxy the service would see nothing until the last block, which is not sent before this.
        assert upstream.first_chunk_arrived.wait(DEADLINE_SECONDS)
        for _ in range(blocks - 1):
            yield block

    connection = http.client.HTTPSConnection(
        "127.0.0.1", nginx.https_port, context=nginx.tls_context(), timeout=DEADLINE_SECONDS
    )
    length = {} if chunked else {"Content-Length": str(size)}
    connection.request("POST", "/v1/files", body(), length, encode_chunked=chunked)
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    assert response.status == 201
    expected = hashlib.sha256(block * blocks).hexdigest()
    assert answer == f'{{"received":{size},"sha256":"{expected}"}}'.encode()


def test_a_refusal_before_the_body_is_read_reaches_the_client(client: httpx2.Client) -> None:
    response = client.post("/v1/images", content=bytes(20 * MEGABYTE))
    assert response.status_code == 413
    assert response.json() == {"code": "too_large"}


def test_a_range_of_a_large_content_passes_as_it_is_and_is_not_kept_on_disk(
    client: httpx2.Client, upstream: Upstream
) -> None:
    headers = {"Accept-Encoding": "gzip", "Range": f"bytes=0-{len(CONTENT) - 1}"}
    with client.stream("GET", "/v1/files/7/content?signature=secret", headers=headers) as response:
        assert response.status_code == 206
        assert response.headers["content-range"] == f"bytes 0-{len(CONTENT) - 1}/99999999"
        assert response.headers["etag"] == '"7"'  # of something compressed it would be weak
        assert response.headers["accept-ranges"] == "bytes"
        assert "content-encoding" not in response.headers
        for _ in range(50):
            assert client.get("/v1/users/me").status_code == 200
        # A proxy that writes to disk would have taken everything by now.
        assert not upstream.all_sent.is_set()
        assert response.read() == CONTENT


def test_plain_http_is_sent_to_the_public_address(nginx: Nginx) -> None:
    url = f"http://127.0.0.1:{nginx.http_port}/v1/jobs?limit=1"
    response = httpx2.post(url, headers={"Host": "evil.example"}, trust_env=False)
    assert response.status_code == 308
    assert response.headers["location"] == f"{nginx.url}/v1/jobs?limit=1"


def test_hsts_is_sent_once_on_every_answer(client: httpx2.Client) -> None:
    for path, status in {"/v1/users/me": 200, "/v1/nothing": 404, "/metrics": 404}.items():
        response = client.get(path)
        assert response.status_code == status
        assert response.headers.get_list("strict-transport-security") == [HSTS]


def test_json_is_compressed(client: httpx2.Client) -> None:
    with client.stream("GET", "/v1/jobs", headers={"Accept-Encoding": "gzip"}) as response:
        raw = b"".join(response.iter_raw())
    assert response.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in response.headers["vary"]
    assert gzip.decompress(raw).startswith(b'{"words":["ledger"')
    assert len(raw) < 500
    # nginx weakens the tag of what it compresses; the service compares If-None-Match weakly.
    assert response.headers["etag"] == 'W/"7"'


def test_answers_with_tokens_are_not_compressed(client: httpx2.Client) -> None:
    response = client.get("/v1/auth/token", headers={"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert "content-encoding" not in response.headers


def test_what_a_client_claims_about_itself_is_overwritten(client: httpx2.Client, nginx: Nginx) -> None:
    claims = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "81",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "Upgrade": "h2c",
        "Connection": "Upgrade",
    }
    seen = client.get("/v1/users/me", headers=claims).json()
    expected = {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": f"127.0.0.1:{nginx.https_port}",
        "x-real-ip": "127.0.0.1",
    }
    names = {name.lower() for name in claims}
    assert sorted((name, value) for name, value in seen if name in names) == sorted(expected.items())
    assert ["host", f"127.0.0.1:{nginx.https_port}"] in seen


def test_http2_is_offered(nginx: Nginx) -> None:
    context = nginx.tls_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", nginx.https_port), DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_a_header_of_100_kilobytes_is_refused_as_a_problem(client: httpx2.Client) -> None:
    response = client.get("/v1/users/me", headers={"X-Long": "x" * 100_000})
    assert response.status_code == 431
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "header_too_large"
    assert response.headers["strict-transport-security"] == HSTS


def test_a_service_that_is_away_is_a_problem_to_try_again() -> None:
    with running_nginx(free_port()) as nginx:
        response = httpx2.get(f"{nginx.url}/v1/jobs", verify=nginx.tls_context(), trust_env=False)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "unavailable"
    assert response.headers["retry-after"] == "5"
    assert response.headers.get_list("strict-transport-security") == [HSTS]
