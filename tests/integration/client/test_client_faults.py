"""What the client does when networks, proxies and servers fail it, on a whole Jobyard; both editions."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import jobyard
from jobyard import Conflict, ConnectionFailed, ContentMismatch, RateLimited, Unavailable, UploadInterrupted
from tests.integration.client.conftest import Connect, Login
from tests.integration.client.http_proxy import HttpProxy

MEGABYTE = 1024 * 1024

pytestmark = pytest.mark.usefixtures("short_pauses")


def test_a_server_that_is_away_for_a_moment_is_asked_again(behind: Any, proxy: HttpProxy) -> None:
    rule = proxy.on("GET /v1/users/me", "refuse", times=3)
    assert behind.me().role == "user"
    assert (rule.hits, proxy.count("GET /v1/users/me")) == (3, 4)


@pytest.mark.parametrize(("status", "error"), [("503 Away", Unavailable), ("429 Slowly", RateLimited)])
def test_what_does_not_end_is_given_up(behind: Any, proxy: HttpProxy, status: str, error: type[Exception]) -> None:
    behind.me()
    rule = proxy.on("GET /v1/limits", "refuse", times=99, status=status)
    with pytest.raises(error):
        behind.limits()
    assert rule.hits == 6


def test_a_pause_that_the_server_asks_for_is_kept_and_one_too_long_is_not_waited_for(
    behind: Any, proxy: HttpProxy
) -> None:
    behind.me()
    proxy.on("GET /v1/limits", "refuse", status="503 Away", more="Retry-After: 3600\r\n")
    with pytest.raises(Unavailable) as caught:
        behind.limits()
    assert caught.value.retry_after == 3600
    began = datetime.now(UTC)
    proxy.on("GET /v1/limits", "refuse", status="503 Away", more="Retry-After: 1\r\n")
    behind.limits()
    assert datetime.now(UTC) - began >= timedelta(seconds=1)


def test_a_refusal_is_not_repeated(behind: Any, proxy: HttpProxy) -> None:
    behind.me()
    rule = proxy.on("GET /v1/limits", "refuse", times=99, status="409 Conflict")
    with pytest.raises(Conflict):
        behind.limits()
    assert rule.hits == 1


def test_a_post_whose_answer_was_lost_is_done_once(behind: Any, proxy: HttpProxy, client: Any) -> None:
    behind.me()
    lost = proxy.on("POST /v1/jobs", "lose", times=2)
    job = behind.jobs.create("test.echo", {"text": "once"})
    assert (lost.hits, proxy.count("POST /v1/jobs")) == (2, 3)
    assert [each.id for each in client.jobs.list()] == [job.id]


def test_a_delete_whose_answer_was_lost_is_no_error(behind: Any, proxy: HttpProxy) -> None:
    file = behind.files.upload(b"short", name="a.txt")
    proxy.on("DELETE /v1/files", "lose")
    behind.files.delete(file)
    with pytest.raises(jobyard.NotFound):
        behind.files.delete(file)


def test_a_small_upload_that_is_cut_is_sent_again_and_stored_once(behind: Any, proxy: HttpProxy) -> None:
    content = b"x" * (2 * MEGABYTE)
    cut = proxy.on("POST /v1/files", "cut_request", times=2, after=MEGABYTE)
    file = behind.files.upload(content, name="cut.txt")
    assert (cut.hits, file.size) == (2, len(content))
    assert [each.id for each in behind.files.list()] == [file.id]


def test_what_can_only_be_read_once_is_not_sent_twice(behind: Any, proxy: HttpProxy) -> None:
    behind.me()
    reading, writing = os.pipe()
    proxy.on("POST /v1/files", "lose")
    os.write(writing, b"through a pipe")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ConnectionFailed):
        behind.files.upload(pipe, name="p.txt")
    assert proxy.count("POST /v1/files") == 1


def test_a_large_upload_that_is_cut_goes_on_where_it_was(behind: Any, proxy: HttpProxy, tmp_path: Path) -> None:
    source = tmp_path / "large.txt"
    source.write_bytes(b"0123456789abcde\n" * (20 * MEGABYTE // 16))
    behind.me()
    lost = proxy.on("POST /v1/uploads", "lose")
    cut = proxy.on("PATCH /v1/uploads", "cut_request", times=2, after=6 * MEGABYTE)
    seen: list[jobyard.Progress] = []
    file = behind.files.upload(source, on_progress=seen.append)
    assert (lost.hits, cut.hits, file.size) == (1, 2, 20 * MEGABYTE)
    assert seen[-1].completed == 20 * MEGABYTE
    assert [each.id for each in behind.files.list()] == [file.id]


def test_a_large_upload_that_breaks_off_for_good_tells_where_it_can_go_on(
    connect: Connect, login: Login, proxy: HttpProxy, url: str
) -> None:
    content = b"0123456789abcde\n" * (10 * MEGABYTE // 16)
    impatient = connect(proxy.url(url), **login, retries=1)
    proxy.on("PATCH /v1/uploads", "cut_request", times=99, after=MEGABYTE)
    proxy.on("HEAD /v1/uploads", "refuse", times=99)
    with pytest.raises(UploadInterrupted) as caught:
        impatient.files.upload(content, name="broken.txt")
    direct = caught.value.url.replace(proxy.url(url), url)
    file = connect(url, **login).files.resume_upload(direct, content)
    assert (file.name, file.size) == ("broken.txt", len(content))


def test_a_download_that_is_cut_goes_on_where_it_was(behind: Any, proxy: HttpProxy, tmp_path: Path) -> None:
    content = b"0123456789abcde\n" * (4 * MEGABYTE // 16)
    file = behind.files.upload(content, name="down.txt")
    cut = proxy.on(f"GET /v1/files/{file.id}/content", "cut_answer", times=2, after=MEGABYTE)
    seen: list[jobyard.Progress] = []
    behind.files.download(file, tmp_path / "down.txt", seen.append)
    assert cut.hits == 2
    assert (tmp_path / "down.txt").read_bytes() == content
    assert seen[-1].completed == len(content)


def test_of_a_download_that_fails_or_is_damaged_nothing_is_left(behind: Any, proxy: HttpProxy, tmp_path: Path) -> None:
    file = behind.files.upload(b"0123456789abcde\n" * MEGABYTE, name="down.txt", resumable=False)
    (tmp_path / "down.txt").write_text("what was here before")
    answer = f"200 OK\r\nX-Length: {file.size}"
    proxy.on(f"GET /v1/files/{file.id}/content", "refuse", status=answer)
    with pytest.raises(ContentMismatch):
        behind.files.download(file, tmp_path / "down.txt")
    proxy.on(f"GET /v1/files/{file.id}/content", "cut_answer", times=99)
    with pytest.raises(ConnectionFailed):
        behind.files.download(file, tmp_path / "down.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["down.txt"]
    assert (tmp_path / "down.txt").read_text() == "what was here before"


def test_rivals_renew_an_ended_token_once(connect: Connect, login: Login, proxy: HttpProxy, url: str) -> None:
    told: list[jobyard.Tokens] = []
    tokens = connect(url).login(**login)
    client = connect(proxy.url(url), token="ended", refresh_token=tokens.refresh_token, on_tokens=told.append)
    threads = [threading.Thread(target=client.me) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proxy.count("POST /v1/auth/refresh") == len(told) == 1
    assert client.me().email == login["email"]


def test_a_token_that_is_refused_is_renewed_once_even_within_an_upload(
    connect: Connect, login: Login, proxy: HttpProxy, url: str
) -> None:
    client = connect(proxy.url(url), token="ended", **login)
    assert client.files.upload(b"x" * MEGABYTE, name="a.txt").size == MEGABYTE
    hopeless = connect(proxy.url(url), token="ended")
    with pytest.raises(jobyard.Unauthorized):
        hopeless.me()
    assert proxy.count("POST /v1/auth/login") == 1
    assert proxy.count("GET /v1/users/me") == 1


def test_what_is_not_jobyard_is_named_so(connect: Connect, proxy: HttpProxy, url: str) -> None:
    client = connect(proxy.url(url), token="any")
    proxy.on("GET /v1/users/me", "refuse", status="200 OK")
    with pytest.raises(jobyard.AnswerNotValid, match="is this the address"):
        client.me()
    proxy.on("GET /v1/users/me", "refuse", status="301 Moved", more="Location: https://other.example/\r\n")
    with pytest.raises(jobyard.AnswerNotValid, match=r"https://other\.example/"):
        client.me()
    for wrong in ("ftp://a", "no address", "http://user:secret@host", "http://host/?query"):
        with pytest.raises(ValueError, match="base URL") as caught:
            connect(wrong)
        assert "secret" not in str(caught.value)
