"""What the client does when networks, proxies and servers fail it, on a whole Jobyard; both editions."""

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import jobyard
from jobyard import Conflict, ConnectionFailed, ContentMismatch, Jobyard, RateLimited, Unavailable, UploadInterrupted
from tests.faults.conftest import Yard
from tests.integration.client.conftest import Connect, Login
from tests.integration.client.http_proxy import HttpProxy

MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause for less between tries: the faults here end soon."""
    monkeypatch.setattr("jobyard.retries.FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("jobyard.retries.LONGEST_PAUSE_SECONDS", 0.2)


@pytest.fixture
def waiting_job(client: Any) -> jobyard.Job:
    """Enqueue a job that waits until it is cancelled."""
    return client.jobs.create("test.echo", {}, run_at=datetime.now(UTC) + timedelta(hours=1))


def cancel_once(rule_hit: threading.Event, client: Any, job: jobyard.Job) -> Callable[[], None]:
    """Cancel a job when a fault has struck, in a thread of its own; gives what waits for that."""

    def cancel() -> None:
        assert rule_hit.wait(30)
        client.jobs.cancel(job)

    thread = threading.Thread(target=cancel)
    thread.start()
    return thread.join


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


def test_a_wait_outlives_its_stream_and_misses_no_end(
    behind: Any, proxy: HttpProxy, client: Any, waiting_job: jobyard.Job
) -> None:
    cut = proxy.on(f"GET /v1/jobs/{waiting_job.id}/events", "cut_answer", times=2, after=1000)
    joined = cancel_once(cut.hit, client, waiting_job)
    assert behind.jobs.wait(waiting_job.id, 30).state == "cancelled"
    joined()
    assert proxy.count(f"GET /v1/jobs/{waiting_job.id}/events") >= 2


def test_a_stream_that_falls_silent_is_noticed(
    behind: Any, proxy: HttpProxy, client: Any, waiting_job: jobyard.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobyard.following.FIRST_SECONDS", 0.5)
    monkeypatch.setattr("jobyard.following.SILENCE_SECONDS", 0.5)
    silent, seen = threading.Event(), list[str]()

    def see(job: jobyard.Job) -> None:
        seen.append(job.state)
        if len(seen) == 1:
            proxy.fall_silent()
            threading.Timer(0.3, proxy.come_back).start()
            silent.set()

    joined = cancel_once(silent, client, waiting_job)
    assert behind.jobs.wait(waiting_job.id, 30, see).state == "cancelled"
    joined()
    assert seen == ["scheduled", "cancelled"]
    assert proxy.count(f"GET /v1/jobs/{waiting_job.id}/events") == 2


@pytest.fixture
def impatient_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up a stream sooner that does not begin."""
    monkeypatch.setattr("jobyard.following.FIRST_SECONDS", 0.5)
    monkeypatch.setattr("jobyard.watching.FIRST_SECONDS", 0.5)


@pytest.mark.usefixtures("impatient_streams")
def test_where_a_proxy_holds_streams_back_a_wait_goes_by_long_polling(
    behind: Any, proxy: HttpProxy, client: Any, waiting_job: jobyard.Job
) -> None:
    path = f"GET /v1/jobs/{waiting_job.id}"
    held = proxy.on(f"{path}/events", "swallow", times=99)
    joined = cancel_once(held.hit, client, waiting_job)
    assert behind.jobs.wait(waiting_job.id, 30).state == "cancelled"
    joined()
    assert proxy.count(f"{path}/events") == 1
    assert proxy.count(f"{path} ") >= 1
    assert behind.jobs.wait(waiting_job.id, 30).state == "cancelled"
    assert held.hits == 1


@pytest.mark.usefixtures("impatient_streams")
@pytest.mark.parametrize("status", ["404 Not Found", "405 No", "501 No", "302 Found", "200 OK"])
def test_where_there_is_no_stream_a_wait_goes_by_long_polling(
    behind: Any, proxy: HttpProxy, client: Any, status: str
) -> None:
    behind.me()
    none = proxy.on("GET /v1/jobs/", "refuse", status=status)
    job = client.jobs.create("demo.countdown", {"steps": 1, "step_seconds": 0.2})
    assert behind.jobs.wait(job.id, 30).state == "succeeded"
    assert none.hits == 1
    assert proxy.count(f"GET /v1/jobs/{job.id}/events") == 1
    assert proxy.count(f"GET /v1/jobs/{job.id} ") <= 6


@pytest.mark.usefixtures("impatient_streams")
def test_where_a_proxy_cuts_long_requests_a_wait_asks_again_and_again(
    behind: Any, proxy: HttpProxy, client: Any, waiting_job: jobyard.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobyard.following.LONGEST_POLL_SECONDS", 2)
    path = f"GET /v1/jobs/{waiting_job.id}"
    proxy.on(f"{path}/events", "refuse", status="404 Not Found")
    cut = proxy.on(f"{path} ", "refuse", times=2, status="504 Too Long")
    joined = cancel_once(cut.hit, client, waiting_job)
    assert behind.jobs.wait(waiting_job, 30).state == "cancelled"
    joined()


@pytest.mark.usefixtures("impatient_streams")
@pytest.mark.parametrize("streams", [True, False])
def test_watching_goes_on_after_broken_connections_and_without_streams(
    behind: Any,
    proxy: HttpProxy,
    client: Any,
    waiting_job: jobyard.Job,
    monkeypatch: pytest.MonkeyPatch,
    *,
    streams: bool,
) -> None:
    monkeypatch.setattr("jobyard.watching.LOOK_SECONDS", 0.1)
    if not streams:
        proxy.on("GET /v1/events", "refuse", times=99, status="404 Not Found")
    watching = behind.jobs.watch()
    assert next(watching).id == waiting_job.id
    proxy.go_away()
    client.jobs.cancel(waiting_job)
    other = client.jobs.create("test.echo", {}, run_at=datetime.now(UTC) + timedelta(hours=1))
    threading.Timer(0.2, proxy.come_back).start()
    told = {job.id: job.state for job in (next(watching), next(watching))}
    assert told == {waiting_job.id: "cancelled", other.id: "scheduled"}
    watching.close()


def test_a_wait_outlives_the_server(connect: Connect, yard: Yard, url: str, login: Login) -> None:
    client = connect(url, **login)
    job = client.jobs.create("test.echo", {}, run_at=datetime.now(UTC) + timedelta(hours=1))
    seen = threading.Event()
    waited: list[jobyard.Job] = []

    def see(_: jobyard.Job) -> None:
        seen.set()

    def wait() -> None:
        waited.append(client.jobs.wait(job.id, 60, see))

    thread = threading.Thread(target=wait)
    thread.start()
    assert seen.wait(30)
    yard.stack.supervisor.signal_group("web", signal.SIGKILL)
    with Jobyard(url, **login, retries=300) as other:
        other.jobs.cancel(job)
    thread.join()
    assert [job.state for job in waited] == ["cancelled"]


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
