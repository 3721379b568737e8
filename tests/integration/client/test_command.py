"""The command `jobyard` as a process of its own on a whole Jobyard: what it prints, and how it ends."""

import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jobyard import Jobyard
from jobyard.command.exits import ExitStatus
from ops.paths import ROOT
from tests.integration.client.conftest import PASSWORD, Login

SECONDS = 90
ESCAPE = "\x1b"
CAT = ROOT / "jobyard" / "samples" / "cat-on-its-side.jpg"


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs the command in a directory of its own, with a home of its own."""

    directory: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        home = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory / "config")}
        return os.environ | home | {"JOBYARD_URL": self.url, "COLUMNS": "200"}

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "jobyard", *arguments], cwd=self.directory, text=True,
            env=self.environment | {"PYTHONPATH": str(ROOT)}, **options,
        )  # fmt: skip

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with self.start(*arguments, **pipes) as process:
            out, err = process.communicate(given, timeout=SECONDS)
        assert "Traceback" not in err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str, status: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def stranger(tmp_path: Path, url: str) -> Shell:
    """Give somebody who has not signed in."""
    return Shell(tmp_path, url)


@pytest.fixture
def shell(stranger: Shell, login: Login) -> Shell:
    """Give somebody who has signed in by the command."""
    done = stranger.run("login", "--email", login["email"], "--password-stdin", given=PASSWORD + "\n")
    assert done.returncode == 0, done.stderr
    return stranger


def test_signing_in_keeps_tokens_where_nobody_else_reads_them(shell: Shell, login: Login) -> None:
    kept = shell.directory / "config" / "jobyard" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()
    assert shell.json("whoami")["email"] == login["email"]

    kept.chmod(0o644)
    done = shell.run("whoami")
    assert done.returncode != 0
    assert str(kept) in done.stderr

    kept.chmod(0o600)
    assert shell.run("logout").returncode == 0
    assert shell.run("whoami").returncode == ExitStatus.REFUSED


def test_a_picture_is_resized_and_downloaded(shell: Shell) -> None:
    done = shell.run("resize", str(CAT), "--width", "120", "--format", "webp", "--wait", "-o", "out/")
    assert done.returncode == 0, done.stderr
    assert ESCAPE not in done.stdout + done.stderr
    [made] = (shell.directory / "out").iterdir()
    with Image.open(made) as picture:
        assert (picture.format, picture.width) == ("WEBP", 120)

    again = shell.run("resize", str(CAT), "--width", "120", "--format", "webp", "--wait", "-o", "out/")
    assert again.returncode != 0
    assert shell.run(
        "resize", str(CAT), "--width", "120", "--format", "webp", "--wait", "-o", "out/", "--force"
    ).returncode == 0  # fmt: skip


def test_json_is_what_the_service_says_and_nothing_else(shell: Shell, url: str, login: Login) -> None:
    job = shell.json("jobs", "run", "demo.countdown", "--input", '{"steps": 1, "step_seconds": 0.01}', "--wait")
    with Jobyard(url, **login) as client:
        assert job["id"] == client.jobs.get(job["id"]).id
    assert (job["state"], job["done"]) == ("succeeded", True)
    assert [each["id"] for each in shell.json("jobs", "ls", "--kind", "demo.countdown")] == [job["id"]]
    assert shell.json("jobs", "show", job["id"])["id"] == job["id"]


def test_files_come_and_go(shell: Shell) -> None:
    (shell.directory / "note.txt").write_text("hello")
    uploaded = shell.json("upload", "note.txt")
    file = uploaded[0] if isinstance(uploaded, list) else uploaded
    assert [each["id"] for each in shell.json("files", "ls")] == [file["id"]]
    assert shell.run("files", "get", file["id"], "-o", "copy.txt").returncode == 0
    assert (shell.directory / "copy.txt").read_text() == "hello"
    assert shell.run("files", "rm", file["id"]).returncode == 0
    assert shell.run("files", "show", file["id"]).returncode == ExitStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["jobs", "show", "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"], ExitStatus.NOT_FOUND),
        (["jobs", "run", "demo.countdown", "--input", '{"steps": -1}'], ExitStatus.INVALID),
        (["jobs", "run", "demo.countdown", "--input", "{"], ExitStatus.USAGE),
        (["jobs", "no-such-command"], ExitStatus.USAGE),
        (["jobs", "ls", "--url", "http://127.0.0.1:1", "--timeout", "1"], None),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(shell: Shell, arguments: list[str], status: int | None) -> None:
    done = shell.run(*arguments)
    assert done.stdout == ""
    if status is None:
        assert done.returncode in {ExitStatus.REFUSED, ExitStatus.UNREACHABLE, ExitStatus.TIMED_OUT}
    else:
        assert done.returncode == status
    if status != ExitStatus.USAGE:
        assert re.fullmatch(r"jobyard: [^\n]+\([a-z_]+\)\n", done.stderr), done.stderr


def test_a_job_that_fails_is_told_by_the_status(shell: Shell) -> None:
    job = shell.json("jobs", "run", "demo.countdown", "--input", '{"steps": 100, "step_seconds": 1}')
    assert shell.run("jobs", "cancel", job["id"]).returncode == 0
    assert shell.run("jobs", "watch", job["id"]).returncode == ExitStatus.FAILED


def test_names_from_elsewhere_can_neither_leave_the_directory_nor_paint_the_screen(
    shell: Shell, url: str, login: Login
) -> None:
    with Jobyard(url, **login) as client:
        file = client.files.upload(b"harmless", name="[red]..evil\x1b[31m.txt")
        kept = client.files.get(file.id).name
    listed = shell.run("files", "ls")
    assert ESCAPE not in listed.stdout
    assert "[red]" in listed.stdout or "[red]" not in kept
    (shell.directory / "in").mkdir()
    assert shell.run("files", "get", file.id, "-o", "in/").returncode == 0
    assert len(list((shell.directory / "in").iterdir())) == 1


def test_an_interrupt_says_what_goes_on(shell: Shell) -> None:
    leader, follower = pty.openpty()
    job = shell.json("jobs", "run", "demo.countdown", "--input", '{"steps": 200, "step_seconds": 0.1}')
    with shell.start("jobs", "watch", job["id"], stdin=follower, stdout=follower, stderr=follower) as process:
        os.close(follower)
        seen = ""
        while "running" not in seen and "%" not in seen:
            seen += os.read(leader, 4096).decode(errors="replace")
        process.send_signal(signal.SIGINT)
        try:
            while more := os.read(leader, 4096).decode(errors="replace"):
                seen += more
        except OSError:  # Linux says so when the other end is closed.
            pass
        assert process.wait(SECONDS) == ExitStatus.INTERRUPTED
    os.close(leader)
    assert job["id"] in seen
    assert shell.run("jobs", "cancel", job["id"]).returncode == 0


def test_without_a_sign_in_it_says_how(stranger: Shell) -> None:
    done = stranger.run("jobs", "ls")
    assert done.returncode == ExitStatus.REFUSED
    assert "jobyard login" in done.stderr
