"""Every method of the client, called with every argument that it takes."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jobyard.client import Client
from jobyard.sync_runner import SyncRunner

Call = Callable[[Client[SyncRunner]], object]

ID = "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"
CONTENT = b"content"
NAMED: dict[str, Any] = {"name": "a.txt", "description": "What it is", "expires_in": 3600}
UPLOAD = f"/v1/uploads/{ID}"
HOOK = "https://app.example.com/hooks"
MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WORDS = "correct horse battery staple"
SENDING: dict[str, Any] = {
    "sender": "yard@example.com",
    "reply_to": "help@example.com",
    "headers": {"X-Campaign": "7"},
    "unsubscribe": True,
    "delivery": "at_most_once",
    "tags": ["t"],
    "priority": 1,
    "send_at": MOMENT,
}


def _renew(client: Client[SyncRunner]) -> object:
    client.session.access_token = None
    return client.me()


ACCOUNT: dict[str, list[Call]] = {
    "register": [lambda c: c.register("ada@example.com", WORDS, "Ada")],
    "login": [lambda c: c.login("ada@example.com", WORDS)],
    "logout": [lambda c: c.logout()],
    "me": [_renew],
    "rename": [lambda c: c.rename("Ada")],
    "change_password": [lambda c: c.change_password(WORDS, WORDS[::-1])],
    "stream_ticket": [lambda c: c.stream_ticket()],
    "limits": [lambda c: c.limits()],
}
JOBS: dict[str, list[Call]] = {
    "jobs.create": [
        lambda c: c.jobs.create(
            "file.inspect",
            {"file_id": ID},
            tags=["t"],
            priority=1,
            run_at=MOMENT,
            ttl_seconds=60,
            unique_key="u",
            concurrency_key="c",
            max_attempts=3,
            webhook_url=HOOK,
        )
    ],
    "jobs.get": [lambda c: c.jobs.get(ID)],
    "jobs.list": [
        lambda c: c.jobs.list(
            state="queued", kind="file.inspect", tag="t", id=[ID], created_after=MOMENT, oldest_first=True
        )
    ],
    "jobs.wait": [lambda c: c.jobs.wait(ID)],
    "jobs.events": [lambda c: c.jobs.events(ID)],
    "jobs.watch": [lambda c: c.jobs.watch(tags=["t"], kinds=["file.inspect"])],
    "jobs.cancel": [lambda c: c.jobs.cancel(ID)],
    "jobs.retry": [lambda c: c.jobs.retry(ID)],
    "jobs.attempts": [lambda c: c.jobs.attempts(ID)],
    "jobs.delete": [lambda c: c.jobs.delete(ID)],
    "jobs.bulk": [
        lambda c: c.jobs.bulk(
            "cancel",
            state=["queued"],
            kind=["file.inspect"],
            tag=["t"],
            id=[ID],
            created_after=MOMENT,
            created_before=MOMENT,
            older_than_seconds=60,
        )
    ],
}
FILES: dict[str, list[Call]] = {
    "files.upload": [
        lambda c: c.files.upload(CONTENT, **NAMED),
        lambda c: c.files.upload(CONTENT, **NAMED, resumable=True),
    ],
    "files.upload_with_job": [
        lambda c: c.files.upload_with_job(CONTENT, "file.inspect", **NAMED, webhook_url=HOOK),
        lambda c: c.files.upload_with_job(CONTENT, "file.inspect", **NAMED, webhook_url=HOOK, resumable=True),
    ],
    "files.upload_many": [lambda c: c.files.upload_many([CONTENT, CONTENT], expires_in=3600)],
    "files.begin_upload": [lambda c: c.files.begin_upload(CONTENT, **NAMED)],
    "files.resume_upload": [lambda c: c.files.resume_upload(UPLOAD, CONTENT)],
    "files.upload_status": [lambda c: c.files.upload_status(UPLOAD)],
    "files.cancel_upload": [lambda c: c.files.cancel_upload(UPLOAD)],
    "files.get": [lambda c: c.files.get(ID)],
    "files.list": [lambda c: c.files.list()],
    "files.download": [lambda c: c.files.download(ID, io.BytesIO())],
    "files.change": [lambda c: c.files.change(ID, **NAMED, expires_at=MOMENT)],
    "files.delete": [lambda c: c.files.delete(ID)],
    "files.link": [lambda c: c.files.link(ID, expires_in=60, inline=True)],
    "images.resize": [
        lambda c: c.images.resize(CONTENT, [{"width": 9}], keep_copyright=True, webhook_url=HOOK, expires_in=3600),
        lambda c: c.images.resize(CONTENT, preset="thumb"),
        lambda c: c.images.resize(ID, preset="thumb", keep_copyright=True, webhook_url=HOOK),
        lambda c: c.images.resize(ID, width=9, height=9, fit="cover", format="webp", quality=80),
    ],
    "image_presets.put": [lambda c: c.image_presets.put("thumb", [{"width": 9}])],
    "image_presets.get": [lambda c: c.image_presets.get("thumb")],
    "image_presets.list": [lambda c: c.image_presets.list()],
    "image_presets.delete": [lambda c: c.image_presets.delete("thumb")],
    "archives.create": [lambda c: c.archives.create([ID], "all.zip", webhook_url=HOOK)],
}
MAIL: dict[str, list[Call]] = {
    "emails.send": [
        lambda c: c.emails.send(
            "ann@example.com",
            "Subject",
            "Text",
            html="<p>Text",
            template="hello",
            variables={"name": "Ann"},
            cc=["ben@example.com"],
            bcc=["cy@example.com"],
            attachments=[ID],
            inline_images={"cat": ID},
            **SENDING,
        )
    ],
    "emails.send_many": [lambda c: c.emails.send_many([{"to": ["ann@example.com"], "subject": "S", "text": "T"}])],
    "emails.notify": [lambda c: c.emails.notify(["ann@example.com"], "Subject", "Text")],
    "emails.get": [lambda c: c.emails.get(ID)],
    "emails.list": [lambda c: c.emails.list(recipient="ann@example.com", state="sent", tag="t", mailing_id=ID)],
    "emails.reschedule": [lambda c: c.emails.reschedule(ID, MOMENT)],
    "emails.cancel": [lambda c: c.emails.cancel(ID)],
    "mailings.create": [lambda c: c.mailings.create("hello", ["ann@example.com"], variables={"a": 1}, **SENDING)],
    "mailings.get": [lambda c: c.mailings.get(ID)],
    "mailings.list": [lambda c: c.mailings.list()],
    "mailings.cancel": [lambda c: c.mailings.cancel(ID)],
    "templates.put": [lambda c: c.templates.put("hello", subject="S", text="T", html="<p>T")],
    "templates.get": [lambda c: c.templates.get("hello")],
    "templates.list": [lambda c: c.templates.list()],
    "templates.delete": [lambda c: c.templates.delete("hello")],
    "templates.preview": [lambda c: c.templates.preview("hello", {"name": "Ann"})],
    "suppressions.add": [lambda c: c.suppressions.add("ann@example.com", reason="manual", detail="asked")],
    "suppressions.get": [lambda c: c.suppressions.get("ann@example.com")],
    "suppressions.list": [lambda c: c.suppressions.list(reason="manual", address="ann@example.com")],
    "suppressions.remove": [lambda c: c.suppressions.remove("ann@example.com")],
}
WEBHOOKS: dict[str, list[Call]] = {
    "webhooks.create": [lambda c: c.webhooks.create(HOOK, ["job.*"], description="mine")],
    "webhooks.list": [lambda c: c.webhooks.list()],
    "webhooks.get": [lambda c: c.webhooks.get(ID)],
    "webhooks.update": [lambda c: c.webhooks.update(ID, url=HOOK, events=["job.*"], description="m", disabled=True)],
    "webhooks.delete": [lambda c: c.webhooks.delete(ID)],
    "webhooks.secret": [lambda c: c.webhooks.secret(ID)],
    "webhooks.rotate_secret": [lambda c: c.webhooks.rotate_secret(ID, overlap_seconds=60)],
    "webhooks.test": [lambda c: c.webhooks.test(ID)],
    "webhooks.deliveries": [lambda c: c.webhooks.deliveries(ID, state="failed", event="job.failed", subject_id=ID)],
    "webhooks.delivery": [lambda c: c.webhooks.delivery(ID, ID)],
    "webhooks.replay": [lambda c: c.webhooks.replay(ID, ID)],
    "webhooks.replay_failed": [lambda c: c.webhooks.replay_failed(ID, MOMENT)],
}
ADMIN: dict[str, list[Call]] = {
    "admin.queues": [lambda c: c.admin.queues()],
    "admin.pause_queue": [lambda c: c.admin.pause_queue("mail")],
    "admin.resume_queue": [lambda c: c.admin.resume_queue("mail")],
    "admin.workers": [lambda c: c.admin.workers()],
    "admin.broadcast": [lambda c: c.admin.broadcast("Maintenance")],
    "admin.quota": [lambda c: c.admin.quota(ID)],
    "admin.set_quota": [lambda c: c.admin.set_quota(ID, max_bytes=1, max_files=None)],
    "admin.clean_files": [lambda c: c.admin.clean_files(dry_run=True)],
}
CALLS = ACCOUNT | JOBS | FILES | MAIL | WEBHOOKS | ADMIN
