"""What the client does for its users, on a whole Jobyard: the same for the blocking and the asynchronous one."""

import hashlib
import io
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import jobyard
from jobyard import Conflict, InvalidInput, JobFailed, NotFound, Unauthorized, WaitTimeout
from tests.integration.client.conftest import PASSWORD, Connect, Login
from tests.webhook_receiver import WebhookReceiver

COUNT = {"steps": 3, "step_seconds": 0.05}


def test_a_job_is_enqueued_followed_and_done(client: Any) -> None:
    changes: list[jobyard.Job] = []
    job = client.jobs.create("demo.countdown", COUNT, tags=["a", "b"], priority=3)
    done = client.jobs.wait(job, 30, changes.append)
    assert (done.state, done.result_or_raise()["steps"], done.tags, done.priority) == ("succeeded", 3, ("a", "b"), 3)
    versions = [each.version for each in changes]
    assert versions == sorted(set(versions))
    assert changes[-1] == done
    assert client.jobs.get(job.id) == done
    assert client.jobs.wait(done) is done


def test_the_events_of_a_job_begin_with_what_it_is_and_end_with_its_end(client: Any) -> None:
    job = client.jobs.create("demo.countdown", COUNT)
    states = [each.state for each in client.jobs.events(job)]
    assert states[-1] == "succeeded"
    assert [each.state for each in client.jobs.events(job.id)] == ["succeeded"]


def test_a_job_that_fails_raises_only_where_its_result_is_asked_for(client: Any) -> None:
    job = client.jobs.wait(client.jobs.create("test.echo", {"ending": "fail"}), 30)
    assert (job.state, job.error.code) == ("failed", "bad_words")
    with pytest.raises(JobFailed, match="bad_words: These words will not do") as caught:
        client.jobs.wait(job.id, 30, check=True)
    assert caught.value.job == job
    assert caught.value.code == "bad_words"


def test_a_wait_that_is_too_short_tells_what_is_known(client: Any) -> None:
    job = client.jobs.create("test.echo", {"text": "later"}, run_at=datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(WaitTimeout) as caught:
        client.jobs.wait(job, 0.3)
    assert caught.value.job is not None
    assert caught.value.job.state == "scheduled"
    assert client.jobs.cancel(job).state == "cancelled"
    with pytest.raises(JobFailed):
        client.jobs.wait(job, 10, check=True)


def test_jobs_are_listed_page_after_page_and_by_what_they_are(client: Any) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    made = [client.jobs.create("test.echo", {}, run_at=later, tags=[f"n:{n % 2}"]).id for n in range(105)]
    assert [job.id for job in client.jobs.list()] == made[::-1]
    assert [job.id for job in client.jobs.list(oldest_first=True, limit=3)] == made[:3]
    assert [job.id for job in client.jobs.list(tag="n:1", state=["scheduled", "queued"], limit=200)] == made[1::2][::-1]
    assert list(client.jobs.list(state="running")) == []
    assert len(list(client.jobs.list(id=made[:5]))) == 5
    bulk = client.jobs.wait(client.jobs.bulk("cancel", tag=["n:0"]), 30, check=True)
    assert bulk.result["changed"] == 53


def test_a_job_is_retried_its_attempts_are_listed_and_it_is_forgotten(client: Any) -> None:
    job = client.jobs.wait(client.jobs.create("test.echo", {"ending": "fail"}), 30)
    (attempt,) = client.jobs.attempts(job)
    assert (attempt.attempt, attempt.error_code) == (1, "bad_words")
    again = client.jobs.retry(job)
    assert again.retried_from == job.id
    client.jobs.wait(again, 30)
    client.jobs.delete(job)
    with pytest.raises(NotFound):
        client.jobs.get(job)
    with pytest.raises(NotFound):
        client.jobs.wait(job.id, 10)
    with pytest.raises(Conflict):
        client.jobs.cancel(again)


def test_all_jobs_are_watched(client: Any) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    live = client.jobs.create("test.echo", {}, run_at=later, tags=["watched"])
    client.jobs.create("test.echo", {}, run_at=later)
    watching = client.jobs.watch(tags=["watched"])
    assert next(watching) == live
    other = client.jobs.create("test.echo", {"text": "seen"}, tags=["watched"])
    seen = [next(watching)]
    while not seen[-1].done:
        seen.append(next(watching))
    assert {job.id for job in seen} == {other.id}
    watching.close()


@pytest.mark.parametrize("size", [1, 3_000_000, 20_000_000])
def test_files_go_up_and_come_down_whole_with_progress(client: Any, tmp_path: Path, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    source, target = tmp_path / 'a "quoted" näme.txt', tmp_path / "back.txt"
    source.write_bytes(content)
    up: list[jobyard.Progress] = []
    down: list[jobyard.Progress] = []
    file = client.files.upload(source, description="Ä", on_progress=up.append, expires_in=3600)
    assert (file.name, file.description, file.size) == (source.name, "Ä", size)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert client.files.download(file, target, down.append) == file
    assert target.read_bytes() == content
    assert set(tmp_path.iterdir()) == {source, target}
    for progress in (up, down):
        done = [each.completed for each in progress]
        assert done == sorted(done)
        assert (done[-1], progress[-1].total) == (size, size)
    assert (up[0].url is not None) == (size > 8 * 1024 * 1024)


def test_what_is_uploaded_may_be_bytes_an_open_file_or_a_pipe(client: Any, tmp_path: Path) -> None:
    by_bytes = client.files.upload(b"by bytes", name="b.txt")
    stream = io.BytesIO(b"not this: from here")
    stream.seek(10)
    by_stream = client.files.upload(stream, name="s.txt")
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        by_pipe = client.files.upload(pipe, name="p.txt")
    target = io.BytesIO()
    for file in (by_bytes, by_stream, by_pipe):
        client.files.download(file.id, target)
    assert target.getvalue() == b"by bytesfrom herethrough a pipe"
    client.files.download(by_bytes, tmp_path)
    assert (tmp_path / "b.txt").read_bytes() == b"by bytes"
    assert {file.id for file in client.files.list()} == {by_bytes.id, by_stream.id, by_pipe.id}


def test_an_upload_goes_on_in_another_program_from_its_url(client: Any, connect: Connect, login: Login) -> None:
    content = b"x" * 5000
    upload = client.files.begin_upload(content, name="later.txt")
    assert (client.files.upload_status(upload.url).offset, upload.size) == (0, 5000)
    other = connect(client.base_url, **login)
    with pytest.raises(ValueError, match="5000"):
        other.files.resume_upload(upload.url, content[1:])
    with pytest.raises(ValueError, match="no upload of"):
        other.files.resume_upload("http://elsewhere.example/v1/uploads/1", content)
    assert other.files.resume_upload(upload.url, content).name == "later.txt"
    given_up = client.files.begin_upload(content)
    client.files.cancel_upload(given_up.url)
    with pytest.raises(NotFound):
        client.files.upload_status(given_up.url)


def test_files_are_changed_linked_and_deleted(client: Any) -> None:
    file = client.files.upload(b"content", name="a.txt")
    assert client.files.change(file, name="b.txt", expires_in=600).name == "b.txt"
    link = client.files.link(file, expires_in=60)
    assert link.url.startswith("http")
    assert "signature" not in repr(link)
    client.files.delete(file)
    with pytest.raises(NotFound):
        client.files.get(file)


def test_pictures_are_resized_and_packed(client: Any, photograph: Path, tmp_path: Path) -> None:
    job = client.images.resize(photograph, width=200, format="webp")
    (rendition,) = client.jobs.wait(job, 30, check=True).result["renditions"]
    stored = client.files.get(job.input["file_id"])
    again = client.images.resize(stored, [{"width": 50}, {"height": 40}])
    made = [
        rendition["file_id"],
        *(each["file_id"] for each in client.jobs.wait(again, 30, check=True).result["renditions"]),
    ]
    archive = client.jobs.wait(client.archives.create(made, "all.zip"), 30, check=True)
    client.files.download(archive.result["file_id"], tmp_path / "all.zip")
    assert len(zipfile.ZipFile(tmp_path / "all.zip").namelist()) == 3
    with pytest.raises(ValueError, match="give one of"):
        client.images.resize(stored)


def test_e_mails_are_sent_read_and_cancelled(client: Any) -> None:
    file = client.files.upload(b"attached", name="a.txt")
    email = client.emails.send("Ann <ann@example.com>", "Hello", "Hi.", attachments=[file], tags=["t"])
    client.jobs.wait(email.job_id, 30, check=True)
    sent = client.emails.get(email)
    assert [(each.address, each.state) for each in sent.recipients] == [("ann@example.com", "sent")]
    later = client.emails.send(["ben@example.com"], "Later", "Hi.", send_at=datetime.now(UTC) + timedelta(hours=1))
    assert client.emails.reschedule(later, datetime.now(UTC) + timedelta(hours=2)).send_at > later.send_at
    assert client.emails.cancel(later).recipients[0].state == "cancelled"
    batch = client.emails.send_many([{"to": ["cy@example.com"], "subject": "S", "text": "T"}, {"to": ["nobody"]}])
    assert (batch.failed, batch.items[0].email.subject, batch.items[1].error["status"]) == (1, "S", 422)
    assert [each.id for each in client.emails.list(recipient="ann@example.com")] == [email.id]


def test_templates_mailings_and_suppressions_do_what_they_say(client: Any) -> None:
    client.templates.put("hello", subject="Hello {{ name }}", text="Hi.")
    assert client.templates.preview("hello", {"name": "Ann"}).subject == "Hello Ann"
    assert client.templates.get("hello").variables == ("name",)
    with pytest.raises(InvalidInput):
        client.templates.preview("hello")
    client.suppressions.add("ben@example.com", detail="asked for it")
    people = {"ann@example.com": {"name": "Ann"}, "ben@example.com": {"name": "Ben"}}
    mailing = client.mailings.create("hello", people, send_at=datetime.now(UTC) + timedelta(hours=1))
    assert (mailing.recipients, client.mailings.get(mailing).counts["suppressed"]) == (2, 1)
    assert client.mailings.cancel(mailing).counts["cancelled"] == 1
    assert [each.id for each in client.mailings.list()] == [mailing.id]
    assert [each.name for each in client.templates.list()] == ["hello"]
    assert [each.address for each in client.suppressions.list()] == ["ben@example.com"]
    client.suppressions.remove("ben@example.com")
    client.templates.delete("hello")
    with pytest.raises(NotFound):
        client.suppressions.get("ben@example.com")


def test_webhooks_are_registered_tell_events_and_are_verified(client: Any, receiver: WebhookReceiver) -> None:
    webhook = client.webhooks.create(receiver.url(), ["job.succeeded"], description="mine")
    job = client.jobs.wait(client.jobs.create("test.echo", {"text": "told"}), 30)
    (told,) = receiver.wait(1)
    event = jobyard.verify_webhook(told.body, told.headers, webhook.secret)
    assert (event.type, event.job.id, event.job.state) == ("job.succeeded", job.id, "succeeded")
    assert client.webhooks.secret(webhook).secret == webhook.secret
    assert "whsec" not in repr(webhook)
    rotated = client.webhooks.rotate_secret(webhook, overlap_seconds=60)
    assert rotated.secret != webhook.secret
    assert client.webhooks.test(webhook).state == "delivered"
    (_, test) = receiver.wait(2)
    assert jobyard.verify_webhook(test.body, test.headers, rotated.secret).id
    assert jobyard.verify_webhook(test.body, test.headers, webhook.secret).id
    (delivery,) = client.webhooks.deliveries(webhook, event="job.succeeded")
    assert client.webhooks.delivery(webhook, delivery).body.encode() == told.body
    assert client.webhooks.replay(webhook, delivery).replay_of == delivery.id
    receiver.wait(3)
    assert client.webhooks.update(webhook, disabled=True, description=None).disabled
    assert [each.id for each in client.webhooks.list()] == [webhook.id]
    client.webhooks.delete(webhook)
    with pytest.raises(NotFound):
        client.webhooks.get(webhook)


def test_an_account_signs_in_and_out_and_its_secrets_are_shown_nowhere(
    connect: Connect, url: str, login: Login
) -> None:
    told: list[jobyard.Tokens] = []
    client = connect(url, on_tokens=told.append)
    with pytest.raises(Unauthorized) as wrong:
        client.login(login["email"], "not the password at all")
    assert "not the password" not in f"{wrong.value!r} {wrong.value}"
    tokens = client.login(**login)
    assert told == [tokens]
    assert client.me().email == login["email"]
    assert client.limits().files["max_upload_bytes"] > 0
    shown = f"{client!r} {client.session!r} {tokens!r}"
    for secret in (tokens.access_token, tokens.refresh_token, PASSWORD):
        assert secret not in shown
    client.logout()
    with pytest.raises(Unauthorized):
        client.me()
    with pytest.raises(Unauthorized):
        connect(url, refresh_token=tokens.refresh_token).me()


def test_an_error_says_what_the_server_said(client: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        client.jobs.create("demo.countdown", {"steps": -1})
    error = caught.value
    assert (error.status, error.code, error.errors[0].pointer) == (422, "invalid_input", "/input/steps")
    assert error.request_id
    assert "/input/steps" in str(error)
    for wrong in ("", ".", ".."):
        with pytest.raises(ValueError, match="missing"):
            client.jobs.get(wrong)
    with pytest.raises(ValueError, match="time zone"):
        client.jobs.create("test.echo", {}, run_at=datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused
    with pytest.raises((NotFound, InvalidInput)):
        client.jobs.get("../files")
