"""Signed links: they read one file's content for a while, and nothing else."""

import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from api.app import create_app
from api.file_links import LinkKeys
from shared.logs import RedactingFormatter
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import PNG
from tests.integration.files.contents import TEXT, StoredFile, store

OLD, NEW = "old:an-older-key-of-the-tests-long-enough", "new:a-newer-key-of-the-tests-long-enough"


@pytest.fixture
def file(client: TestClient, owner: Owner) -> StoredFile:
    return store(client, owner, PNG, "é.png")


def local(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def changed(url: str, **parts: str) -> str:
    parsed = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parsed.query).items()} | parts
    return f"{parsed.path}?{urlencode(query)}"


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_link_needs_no_token(client: TestClient, file: StoredFile) -> None:
    before = int(time.time())
    link = file.link()

    answer = client.get(local(link["url"]))

    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-disposition"] == "attachment; filename=\"_.png\"; filename*=UTF-8''%C3%A9.png"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    caching = answer.headers["cache-control"]
    assert caching.startswith("private, max-age=")
    assert caching.endswith(", immutable")
    expires = int(parse_qs(urlsplit(link["url"]).query)["expires"][0])
    assert before + 3600 <= expires <= int(time.time()) + 3600
    part = client.get(local(link["url"]), headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert client.head(local(link["url"])).headers["content-length"] == str(len(PNG))
    assert client.get(local(link["url"]), headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_link_may_show_what_is_safe(client: TestClient, file: StoredFile) -> None:
    url = file.link(disposition="inline", expires_in=60)["url"]
    assert client.get(local(url)).headers["content-disposition"].startswith("inline;")


def test_orders_that_cannot_be_read(file: StoredFile) -> None:
    path = f"/v1/files/{file.id}/link"
    wrong: list[Any] = [{"expires_in": 0}, {"expires_in": 604_801}, {"expires_in": "60"}, {"expires_in": 1.5}, {"x": 1}]
    for order in [*wrong, {"disposition": "form-data"}, None]:
        assert file.client.post(path, json=order, headers=file.owner.headers).status_code == 422


def test_a_body_that_is_too_large(file: StoredFile) -> None:
    path = f"/v1/files/{file.id}/link"
    answer = file.client.post(path, content=b" " * 2_000_000, headers=file.owner.headers)
    assert code(answer) == (413, "body_too_large")


def test_only_the_owner_makes_links(client: TestClient, file: StoredFile, stranger: Owner) -> None:
    for file_id in (file.id, uuid4()):
        answer = client.post(f"/v1/files/{file_id}/link", json={}, headers=stranger.headers)
        assert code(answer) == (404, "file_not_found")
    assert client.post(f"/v1/files/{file.id}/link", json={}).status_code == 401


def damaged(url: str, other: str) -> Iterator[str]:
    """Change or leave out each part of a link."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    path = urlsplit(url).path
    signature, expires = query["signature"], query["expires"]
    yield changed(url, expires=str(int(expires) + 1))
    yield changed(url, expires=f"0{expires}")
    yield changed(url, expires=f"{expires}\n")
    yield changed(url, expires="9" * 4000)
    yield changed(url, expires="soon")
    yield changed(url, key_id="1")
    yield changed(url, key_id="")
    yield changed(url, disposition="inline")
    yield changed(url, signature=("B" if signature[0] == "A" else "A") + signature[1:])
    yield changed(url, signature=signature[:-1])
    yield changed(url, signature=f"{signature}=")
    yield changed(url, signature="")
    yield changed(url, signature="é€")
    yield changed(url, signature="A" * 20_000)
    for name in query:
        yield f"{path}?{urlencode({each: value for each, value in query.items() if each != name})}"
    yield f"/v1/files/{other}/content?{urlencode(query)}"


def test_a_link_that_was_changed_tells_nothing(client: TestClient, owner: Owner, file: StoredFile) -> None:
    url = file.link()["url"]
    other = store(client, owner)
    asked = [*damaged(url, other.id), *damaged(url, str(uuid4()))]
    assert len(asked) == 36
    for path in asked:
        # A token changes nothing: a URL does the same for everybody.
        for headers in ({}, owner.headers):
            answer = client.get(path, headers=headers)
            assert code(answer) == (403, "link_not_valid"), path[:200]
            assert answer.json()["detail"] == "The link is not valid."


def test_a_link_whose_time_is_over(client: TestClient, file: StoredFile, settings: Settings) -> None:
    now = int(time.time())  # the server's clock counts
    over = LinkKeys(settings).sign(file.known["id"], now - 1, "attachment")
    assert code(client.get(f"{file.path}?{over}")) == (403, "link_expired")
    changed_over = over.replace(str(now - 1), str(now + 60))
    assert code(client.get(f"{file.path}?{changed_over}")) == (403, "link_not_valid")


def test_a_link_reads_the_content_and_nothing_else(client: TestClient, file: StoredFile) -> None:
    query = urlsplit(file.link()["url"]).query
    for method, path in [
        ("GET", file.known["links"]["self"]), ("DELETE", file.known["links"]["self"]), ("GET", "/v1/files"),
        ("POST", f"/v1/files/{file.id}/link"),
    ]:  # fmt: skip
        assert client.request(method, f"{path}?{query}").status_code == 401
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert client.request(method, f"{file.path}?{query}").status_code == 405


def test_deleting_the_file_ends_its_links(client: TestClient, file: StoredFile) -> None:
    url = file.link()["url"]
    assert client.delete(file.known["links"]["self"], headers=file.owner.headers).status_code == 204
    assert code(client.get(local(url))) == (404, "file_not_found")
    assert code(client.get(changed(url, signature="A"))) == (403, "link_not_valid")


def with_settings(settings: Settings, **given: str) -> TestClient:
    return TestClient(create_app(Settings.model_validate(settings.model_dump(exclude_unset=True) | given)))


def test_keys_are_rotated(settings: Settings, owner: Owner) -> None:
    with with_settings(settings, link_keys=OLD) as client:
        file = store(client, owner)
        by_old = file.link()["url"]
    with with_settings(settings, link_keys=f"{NEW}, {OLD}") as client:
        by_new = client.post(f"/v1/files/{file.id}/link", json={}, headers=owner.headers).json()["url"]
        assert "key_id=new" in by_new
        assert [client.get(local(url)).content for url in (by_old, by_new)] == [TEXT, TEXT]
        assert code(client.get(changed(by_old, key_id="new"))) == (403, "link_not_valid")
    with with_settings(settings, link_keys=NEW) as client:
        assert code(client.get(local(by_old))) == (403, "link_not_valid")
        assert client.get(local(by_new)).content == TEXT


def test_keys_that_cannot_be_used() -> None:
    secret = "x" * 32
    for keys in ("no-name", f":{secret}", f"a b:{secret}", "short:secret", f"a:{secret},a:{secret}"):
        with pytest.raises(ValidationError, match="each name once, each secret of 32 characters"):
            Settings.model_validate({"link_keys": keys})
    with pytest.raises(ValidationError, match="must be a http"):
        Settings.model_validate({"public_url": "jobs.example.org"})


def test_logs_hold_no_signatures(file: StoredFile) -> None:
    url = file.link()["url"]
    record = logging.LogRecord("uvicorn", logging.INFO, "", 1, '"GET %s HTTP/1.1"', (url,), None)
    text = RedactingFormatter("%(message)s").format(record)
    assert parse_qs(urlsplit(url).query)["signature"][0] not in text
    assert "&signature=*** HTTP/1.1" in text


def test_a_link_begins_with_the_public_address(settings: Settings, owner: Owner, client: TestClient) -> None:
    assert store(client, owner).link()["url"].startswith("http://testserver/v1/files/")
    with with_settings(settings, public_url="https://jobs.example.org/") as elsewhere:
        file = store(elsewhere, owner)
        assert file.link()["url"].startswith(f"https://jobs.example.org{file.path}?")


def test_both_ways_in_are_in_the_document(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for method in ("get", "head"):
        operation = document["paths"]["/v1/files/{file_id}/content"][method]
        assert {name for way in operation["security"] for name in way} == {"OAuth2PasswordBearer", "SignedLink"}
        assert all(len(way) == 1 for way in operation["security"])
    assert {"200", "206", "304", "403", "412", "416"} <= set(
        document["paths"]["/v1/files/{file_id}/content"]["get"]["responses"]
    )
