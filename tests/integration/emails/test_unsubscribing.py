"""Unsubscribe links: whoever has one ends the mail to its address, by a POST, and can do nothing else."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.link_keys import PurposeKeys
from api.unsubscribe_links import Subscription, UnsubscribeLinkNotValid, UnsubscribeLinks
from shared.logs import RedactingFormatter
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.emails.conftest import Post

RIVALS = 20
OLD, NEW = "old:an-older-key-of-the-tests-long-enough", "new:a-newer-key-of-the-tests-long-enough"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
PARTS = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'

Link = Callable[[UUID, str], str]


@pytest.fixture
def link(settings: Settings) -> Link:
    links = UnsubscribeLinks(settings)
    return lambda owner_id, address: links.url("", owner_id, address)


def listed(client: TestClient, owner: Owner) -> list[tuple[str, str, None]]:
    items = client.get("/v1/suppressions", headers=owner.headers).json()["items"]
    return [(each["address"], each["reason"], each["email_id"]) for each in items]


def test_one_click_ends_the_mail(post: Post, client: TestClient, stranger: Owner) -> None:
    email = post.send(to=["Ann@example.org"], unsubscribe=True)
    assert email["unsubscribe_url"].startswith("http://testserver/v1/unsubscribe/")

    answer = client.post(email["unsubscribe_url"], data=ONE_CLICK, follow_redirects=False)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "You are unsubscribed" in answer.text
    assert listed(client, post.owner) == [("Ann@example.org", "unsubscribed", None)]
    assert listed(client, stranger) == []
    assert post.states(post.send(to=["ANN@example.org"])) == {"ANN@example.org": "suppressed"}


@pytest.mark.parametrize(
    ("headers", "body"), [({}, b""), (FORM, b""), (FORM, b"List-Unsubscribe=One-Click"), (MULTIPART, PARTS)]
)
def test_forms_that_do_it(client: TestClient, owner: Owner, link: Link, headers: dict[str, str], body: bytes) -> None:
    assert client.post(link(owner.id, "a+b/c@bücher.example.org"), content=body, headers=headers).status_code == 200
    assert listed(client, owner) == [("a+b/c@bücher.example.org", "unsubscribed", None)]


def test_looking_changes_nothing(client: TestClient, owner: Owner, link: Link) -> None:
    url = link(owner.id, "ann@example.org")
    shown, head = client.get(f"{url}?List-Unsubscribe=One-Click"), client.head(url)
    assert (shown.status_code, head.status_code) == (200, 200)
    assert '<form method="post">' in shown.text
    assert "<script" not in shown.text
    assert listed(client, owner) == []
    for name in ("content-type", "content-length", "content-security-policy", "x-robots-tag"):
        assert head.headers[name] == shown.headers[name]


def test_pages_keep_to_themselves(client: TestClient, owner: Owner, link: Link) -> None:
    url = link(owner.id, "ann@example.org")
    for answer in (client.get(url), client.post(url), client.get(f"{url}x", headers=BROWSER)):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        assert "location" not in answer.headers
        assert "ann@" not in answer.text


def test_an_address_is_no_markup(client: TestClient, owner: Owner, link: Link) -> None:
    url = link(owner.id, "<b>ann@\"'></strong><script>alert(1)</script>.example.org")
    shown = "&lt;…@&quot;&#x27;&gt;&lt;/strong&gt;&lt;script&gt;alert(1)&lt;/script&gt;.example.org"
    for answer in (client.get(url), client.post(url)):
        assert f"<bdi>{shown}</bdi>" in answer.text


def test_repeating_it_is_fine(client: TestClient, owner: Owner, link: Link) -> None:
    url = link(owner.id, "ann@example.org")
    body = {"address": "ANN@example.org", "reason": "complaint"}
    client.post("/v1/suppressions", json=body, headers=owner.headers)
    at_once = Barrier(RIVALS)

    def send(_: int) -> Any:
        at_once.wait()
        return client.post(url, data=ONE_CLICK)

    with ThreadPoolExecutor(RIVALS) as pool:
        there = list(pool.map(send, range(RIVALS)))
        assert listed(client, owner) == [("ANN@example.org", "complaint", None)]
        client.delete("/v1/suppressions/ann@example.org", headers=owner.headers)
        new = list(pool.map(send, range(RIVALS)))

    assert {(answer.status_code, answer.text) for answer in there + new} == {(200, there[0].text)}
    assert listed(client, owner) == [("ann@example.org", "unsubscribed", None)]


def test_whatever_is_changed_in_a_link_it_is_none(settings: Settings) -> None:
    links, owner_id = UnsubscribeLinks(settings), uuid4()
    token = links.url("", owner_id, "ann@example.org").rpartition("/")[2]
    assert links.read(token) == Subscription(owner_id, "ann@example.org")
    assert len(token) < 80
    wrong = [f"{token[:place]}{other}{token[place + 1 :]}" for place in range(len(token)) for other in "AB.-é\0"]
    wrong += [token[:-count] for count in range(1, len(token) + 1)]
    wrong += [token + more for more in ("A", "=", ".", "\n", " ", ".A")] + [f"{before}{token}" for before in "0.A "]
    wrong += ["é€\ud800", "." * 5000, "0..", "..", "0.AAAA.AAAA"]
    for changed in wrong:
        if changed != token:
            with pytest.raises(UnsubscribeLinkNotValid):
                links.read(changed)


def test_what_is_signed_for_another_purpose_is_no_link(settings: Settings) -> None:
    key_id, content, _ = UnsubscribeLinks(settings).url("", uuid4(), "ann@example.org").rpartition("/")[2].split(".")
    signed = f"{key_id}.{content}"
    other = PurposeKeys(settings, b"jobyard signed link, version 1")
    with pytest.raises(UnsubscribeLinkNotValid):
        UnsubscribeLinks(settings).read(f"{signed}.{other.sign(key_id, signed, 16)}")


def with_keys(settings: Settings, keys: str) -> Settings:
    return Settings.model_validate(settings.model_dump(exclude_unset=True) | {"link_keys": keys})


def test_keys_are_rotated(settings: Settings) -> None:
    owner_id = uuid4()
    one, both, other = (UnsubscribeLinks(with_keys(settings, keys)) for keys in (OLD, f"{NEW}, {OLD}", NEW))
    by_none, by_old, by_new = (
        links.url("", owner_id, "a@example.org").rpartition("/")[2] for links in (UnsubscribeLinks(settings), one, both)
    )
    assert [token.partition(".")[0] for token in (by_none, by_old, by_new)] == ["0", "old", "new"]
    for links, tokens in [(one, [by_none, by_old]), (both, [by_none, by_old, by_new]), (other, [by_none, by_new])]:
        assert {links.read(token) for token in tokens} == {Subscription(owner_id, "a@example.org")}
    for links, token in [
        (other, by_old), (one, by_new), (both, f"old{by_new[3:]}"), (UnsubscribeLinks(settings), by_old)
    ]:  # fmt: skip
        with pytest.raises(UnsubscribeLinkNotValid):
            links.read(token)


def test_a_link_that_is_none_tells_nothing(
    client: TestClient, owner: Owner, stranger: Owner, link: Link, database: psycopg.Connection
) -> None:
    gone = link(stranger.id, "ann@example.org")
    database.execute("DELETE FROM users WHERE id = %s", (stranger.id,))
    for headers, media_type in (({}, "application/problem+json"), (BROWSER, "text/html; charset=utf-8")):
        answers = [
            client.request(method, url, headers=headers)
            for method in ("GET", "POST")
            for url in (gone, f"{link(owner.id, 'ann@example.org')}A", "/v1/unsubscribe/x")
        ]
        assert {(each.status_code, each.headers["content-type"]) for each in answers} == {(404, media_type)}
        assert len({each.text for each in answers}) == 1
        assert client.head(gone, headers=headers).status_code == 404
    assert client.get(gone).json()["code"] == "unsubscribe_link_not_valid"
    assert listed(client, owner) == []


def test_requests_that_are_refused(client: TestClient, owner: Owner, link: Link) -> None:
    url = link(owner.id, "ann@example.org")
    for headers in ({}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
        answer = client.post(url, content=b"List-Unsubscribe=One-Click", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (415, "content_type_not_supported")
    for body in (b"x" * 1025, b"x" * 2_000_000, iter([b"x" * 1000, b"x" * 25])):
        answer = client.post(url, content=body, headers=FORM)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = client.request(method, url)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    assert listed(client, owner) == []
    assert client.post(url, content=b"x" * 1024, headers=FORM).status_code == 200


def test_logs_hold_no_links(owner: Owner, link: Link) -> None:
    url = link(owner.id, "ann@example.org")
    record = logging.LogRecord("api", logging.INFO, "", 1, "POST %s failed", (url,), None)
    assert RedactingFormatter("%(message)s").format(record) == "POST /v1/unsubscribe/*** failed"


def test_a_link_begins_with_the_public_address(settings: Settings, owner: Owner) -> None:
    public = settings.model_copy(update={"public_url": "https://jobs.example.org"})
    with TestClient(create_app(public)) as client:
        body = {"to": ["a@example.org"], "subject": "x", "text": "x", "unsubscribe": True}
        url = client.post("/v1/emails", json=body, headers=owner.headers).json()["unsubscribe_url"]
    assert url.startswith("https://jobs.example.org/v1/unsubscribe/0.")
