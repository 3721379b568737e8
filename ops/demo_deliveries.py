"""Judges what left the API by other ways than files: the mail in the Maildir, the ZIP, the tasks that Flower shows."""

import email.policy
import hashlib
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from email.parser import BytesParser
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from ops.demo_failure import DemoFailed

_FLOWER_SECONDS = 30.0
_POLL_SECONDS = 0.1
_ENVELOPE = "X-RcptTo"

Found = TypeVar("Found")


def sha256_of(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_mail(maildir: Path, subject: str, recipients: Sequence[str], attachment: Path) -> Path:
    """Find the message in the Maildir, compare its envelope and attachment, and return its file. Raises DemoFailed."""
    found = _messages(maildir, subject)
    if not found:
        raise DemoFailed(f"no message with the subject {subject!r} in {maildir}")
    # The development mailbox keeps the envelope in a header; one message may have come for all or one for each.
    envelope = [
        address.strip() for _, message in found for header in message.get_all(_ENVELOPE, []) for address in
        str(header).split(",")
    ]  # fmt: skip
    if sorted(envelope) != sorted(recipients):
        raise DemoFailed(f"the envelope names {', '.join(envelope)}, not {', '.join(recipients)}")
    for path, message in found:
        attached = [part.get_content() for part in message.iter_attachments()]
        if attached != [attachment.read_bytes()]:
            raise DemoFailed(f"the attachment in {path} is not {attachment.name}")
    return found[0][0]


def check_archive(archive: Path, files: Sequence[Path]) -> int:
    """Test the ZIP and compare its members with the files; return how many they are. Raises DemoFailed."""
    try:
        with zipfile.ZipFile(archive) as opened:
            broken = opened.testzip()
            members = Counter(hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist())
    except zipfile.BadZipFile as error:
        raise DemoFailed(f"{archive.name}: {error}") from error
    if broken is not None:
        raise DemoFailed(f"{archive.name}: {broken} is broken")
    if members != Counter(sha256_of(path) for path in files):
        raise DemoFailed(f"{archive.name}: its members are not the files that were put in")
    return members.total()


class FlowerClient:
    """Reads Flower's API. Raises DemoFailed when it does not show in time what it should."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._auth = (user, password)

    def wait_for_worker(self) -> str:
        """Wait until Flower has heard from a worker, and return its name: what happens before that it never shows."""
        return self._poll(self._worker, "Flower has not heard from a worker")

    def wait_for_success(self, jobs: Mapping[str, str]) -> Counter[str]:
        """Wait until Flower shows a task with SUCCESS for each job (by id: its kind), and count them by kind."""
        return self._poll(lambda: self._successes(jobs), "Flower does not show all tasks as SUCCESS")

    def _worker(self) -> str | None:
        answer: dict[str, list[dict[str, Any]]] = self._get("/workers", json="1")
        alive = [str(worker["hostname"]) for worker in answer["data"] if worker["status"]]
        return alive[0] if alive else None

    def _successes(self, jobs: Mapping[str, str]) -> Counter[str] | None:
        tasks: dict[str, dict[str, Any]] = self._get("/api/tasks", state="SUCCESS", limit="1000")
        # A task's id is the job's, and how often the job had been dispatched.
        ended = {(task_id.partition(":")[0], task["name"]) for task_id, task in tasks.items()}
        if all((job_id, kind) in ended for job_id, kind in jobs.items()):
            return Counter(jobs.values())
        return None

    def _poll(self, look: Callable[[], Found | None], failure: str) -> Found:
        """Look again and again: Flower has nothing to wait on."""
        deadline = time.monotonic() + _FLOWER_SECONDS
        while time.monotonic() < deadline:
            try:
                if (found := look()) is not None:
                    return found
            except httpx2.ConnectError:
                # It starts more slowly than the API.
                pass
            time.sleep(_POLL_SECONDS)
        raise DemoFailed(f"{failure} within {_FLOWER_SECONDS:.0f} s")

    def _get(self, path: str, **query: str) -> Any:
        answer = httpx2.get(f"{self._url}{path}", params=query, auth=self._auth, trust_env=False)
        if answer.status_code != HTTPStatus.OK:
            raise DemoFailed(f"Flower answered {answer.status_code} to {path}")
        return answer.json()


def _messages(maildir: Path, subject: str) -> list[tuple[Path, EmailMessage]]:
    parser = BytesParser(policy=email.policy.default)
    found: list[tuple[Path, EmailMessage]] = []
    for name in ("new", "cur"):
        for path in sorted((maildir / name).iterdir()):
            message = parser.parsebytes(path.read_bytes())
            if message["Subject"] == subject:
                found.append((path, message))
    return found
