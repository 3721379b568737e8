"""What the client does with its account, on a whole Jobyard; both editions."""

from typing import Any

import httpx2
import pytest

import jobyard
from jobyard import ConnectionFailed, InvalidInput, Unauthorized
from tests.integration.client.conftest import PASSWORD, Connect, Login
from tests.integration.client.http_proxy import HttpProxy

NEW = "another correct horse"


def test_a_new_password_ends_every_sign_in_but_this(connect: Connect, url: str, login: Login) -> None:
    told: list[jobyard.Tokens] = []
    client = connect(url, **login, on_tokens=told.append)
    elsewhere = connect(url).login(**login)
    with pytest.raises(InvalidInput, match="current password") as wrong:
        client.change_password("not it at all", NEW)
    assert NEW not in f"{wrong.value!r} {wrong.value}"
    assert client.change_password(PASSWORD, NEW) == told[-1]
    assert connect(url, refresh_token=told[-1].refresh_token).me() == client.me()
    with pytest.raises(Unauthorized):
        connect(url, refresh_token=elsewhere.refresh_token).me()
    with pytest.raises(Unauthorized):
        connect(url, **login).me()
    # Its refresh token was used: it signs in by the password.
    client.session.access_token = "ended"
    assert client.me().email == login["email"]


@pytest.mark.usefixtures("short_pauses")
def test_a_new_password_whose_answer_is_lost_is_not_sent_twice(behind: Any, proxy: HttpProxy, client: Any) -> None:
    behind.me()
    proxy.on("PATCH /v1/users/me", "lose")
    with pytest.raises(ConnectionFailed):
        behind.change_password(PASSWORD, NEW)
    assert proxy.count("PATCH /v1/users/me") == 1
    assert client.login(behind.session.email, NEW).access_token


def test_a_name_is_given_and_taken_away(client: Any) -> None:
    assert client.rename("Ada").name == client.me().name == "Ada"
    assert client.rename(None).name is None


def test_a_ticket_opens_a_stream_without_the_token(client: Any, url: str) -> None:
    ticket = client.stream_ticket()
    assert ticket.expires_in > 0
    assert ticket.ticket not in repr(ticket)
    with httpx2.stream("GET", f"{url}/v1/events", params={"ticket": ticket.ticket}) as answer:
        assert answer.status_code == 200


def test_many_are_told_the_same_each_for_themselves(client: Any) -> None:
    batch = client.emails.notify(["ann@example.com", "nobody"], "Closed", "We are back on Monday.")
    assert (batch.failed, batch.items[0].email.subject, batch.items[1].error["status"]) == (1, "Closed", 422)
    with pytest.raises(InvalidInput):
        client.emails.notify(["nobody"], "Closed", "We are back on Monday.")
