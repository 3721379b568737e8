"""The examples of docs/client.md and of the README, run as they stand."""

import base64
import contextlib
import io
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import Webhook

from jobyard import Conflict, Jobyard
from ops.paths import ROOT
from tests.faults.conftest import Yard

ACCOUNT = ("me@example.com", "correct horse battery staple")
ADDRESS = "http://127.0.0.1:8000"
JOB = '{"id": "2", "kind": "test.echo", "state": "failed", "done": true, "version": 3}'
EVENT = f'{{"id": "1", "type": "job.failed", "timestamp": "2026-11-24T12:00:00Z", "data": {JOB}}}'

Run = Callable[[str], dict[str, Any]]


@pytest.fixture
def run(url: str, yard: Yard, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the Python examples of a page, one after the other, beside the files that they name, as an operator."""
    with Jobyard(url) as client, contextlib.suppress(Conflict):
        client.register(*ACCOUNT)
    with psycopg.connect(yard.stack.endpoints.database_url) as database:
        database.execute("UPDATE users SET role = 'operator' WHERE email = %s", ACCOUNT[:1])
    (tmp_path / photograph.parent).mkdir(parents=True)
    shutil.copy(photograph, tmp_path / photograph)
    shutil.copy(photograph, tmp_path / "photo.jpg")
    (tmp_path / "trip.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBYARD_URL", url)

    def run_page(page: str) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "example"}
        text = (ROOT / page).read_text()
        for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(compile(code.replace(ADDRESS, url), page, "exec"), names)  # noqa: S102 - that is what is tested
        return names

    return run_page


def test_every_example_of_the_clients_page_works(run: Run, tmp_path: Path) -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        names = run("docs/client.md")
    names["client"].close()
    assert (tmp_path / "copy.jpg").read_bytes() == (tmp_path / "photo.jpg").read_bytes()
    assert (tmp_path / "photos.zip").read_bytes().startswith(b"PK")
    for part in (
        "succeeded 100.0",
        "'steps': 3",
        "me@example.com",
        "ann@example.com sent",
        "images True",
        "/input/steps",
    ):
        assert part in said.getvalue()
    assert base64.b64decode(names["secret"].removeprefix("whsec_"))
    moment = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(names["secret"]).sign("msg_1", moment, EVENT),
    }
    with contextlib.redirect_stdout(said):
        assert names["receive"](EVENT.encode(), headers) == 204
        assert names["receive"](EVENT.replace("failed", "cancelled").encode(), headers) == 400


def test_the_example_of_the_readme_works(run: Run, tmp_path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        run("README.md")
    assert (tmp_path / "cat.webp").read_bytes().startswith(b"RIFF")
