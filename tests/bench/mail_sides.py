"""The two designs as senders of mail."""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import psutil

from ops.leash import Leash
from ops.ports import LOOPBACK
from tests.bench import mail_texts
from tests.bench.http_client import request_bytes
from tests.bench.jobyard_side import Jobyard
from tests.bench.mail_sink_side import MailSink
from tests.bench.naive_side import Naive
from tests.bench.orders import Storm
from tests.bench.plan import Plan

_TEMPLATE = "pictures"
_ACCEPT_SECONDS = 300.0
# The message has arrived before this is written down; what counts is what is done and written.
_COUNT_SENT = """
SELECT count(*) FROM jobs JOIN emails ON emails.job_id = jobs.id JOIN recipients ON recipients.email_id = emails.id
WHERE jobs.state = 'succeeded' AND recipients.state = 'sent'
"""


class GuideMail(Naive):
    """Is the guide's front, with a task for each message."""

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack, sink: MailSink) -> None:
        self._sink = sink
        super().__init__(directory, plan, leash, stack)

    def environment(self) -> dict[str, str]:
        return super().environment() | {"NAIVE_SMTP_PORT": str(self._sink.port)}

    def front_arguments(self) -> list[str]:
        app, options = "tests.bench.naive.mail:app", ["--loop", "uvloop", "--http", "httptools"]
        return ["-m", "uvicorn", app, "--port", str(self.port), "--no-access-log", *options]

    def behind_arguments(self) -> dict[str, list[str]]:
        concurrency = f"--concurrency={self.plan.worker_concurrency}"
        return {
            "worker": [
                "-m",
                "celery",
                "-A",
                "tests.bench.naive.mail:celery_app",
                "worker",
                "--loglevel=INFO",
                concurrency,
            ]
        }

    def notifications(self, count: int, size: int) -> Storm:
        """Ask for messages, so many with one request."""
        requests = _requests(self, "/send-notification", mail_texts.notifications(count, size))
        return _storm(self, requests, 200)


class JobyardMail(Jobyard):
    """Is Jobyard with its mail going to the sink."""

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack, sink: MailSink) -> None:
        self._sink = sink
        super().__init__(directory, plan, leash, stack)

    def environment(self) -> dict[str, str]:
        mail = {"SMTP_URL": f"smtp://{LOOPBACK}:{self._sink.port}", "JOBYARD_MAIL_FROM": mail_texts.SENDER}
        return super().environment() | mail

    def count_finished(self) -> int:
        row = self.own.execute(_COUNT_SENT).fetchone()
        return int(row[0]) if row else 0

    def put_template(self) -> None:
        """Store the template of the mailings."""
        with httpx2.Client(
            base_url=f"http://{LOOPBACK}:{self.port}/v1", headers=self.headers, trust_env=False
        ) as client:
            client.put(f"/email-templates/{_TEMPLATE}", json=mail_texts.template()).raise_for_status()

    def worker_children(self) -> list[int]:
        """Give the process ids of the worker's children."""
        return [child.pid for child in psutil.Process(self.behind["worker"].pid).children()]

    def emails(self, count: int) -> Storm:
        """Ask for messages one by one."""
        return _storm(self, _requests(self, "/v1/emails", mail_texts.emails(count)), 202)

    def batches(self, count: int, size: int) -> Storm:
        """Ask for messages in batches."""
        return _storm(self, _requests(self, "/v1/emails/batch", mail_texts.batches(count, size)), 202)

    def mailing(self, count: int) -> Storm:
        """Ask for a mailing with so many recipients."""
        return _storm(self, _requests(self, "/v1/mailings", [mail_texts.mailing(_TEMPLATE, count)]), 202)


def _requests(contender: GuideMail | JobyardMail, path: str, bodies: Iterable[Any]) -> list[str]:
    headers = {"Content-Type": "application/json"} | contender.headers
    return [request_bytes("POST", path, headers, json.dumps(body).encode()).decode() for body in bodies]


def _storm(contender: GuideMail | JobyardMail, requests: list[str], expected_status: int) -> Storm:
    return Storm(
        port=contender.port,
        requests=requests,
        concurrency=min(16, len(requests)),
        expected_status=expected_status,
        seconds=_ACCEPT_SECONDS,
        count=len(requests),
    )
