"""Waiting and watching while networks, proxies and servers fail the client; both editions."""

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import jobyard
from jobyard import Jobyard
from tests.faults.conftest import Yard
from tests.integration.client.conftest import Connect, Login
from tests.integration.client.http_proxy import HttpProxy

pytestmark = pytest.mark.usefixtures("short_pauses")


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
