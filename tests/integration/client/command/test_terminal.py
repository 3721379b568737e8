"""What a person sees: bars that move, tables, questions without echo, Ctrl-C; and what a hostile server shows them."""

import json
import os
import re
from collections.abc import Iterator

import pytest

from tests.integration.client.command.conftest import SAMPLES, Shell
from tests.integration.client.command.hostile_server import CONTENT, UNKNOWN, HostileServer
from tests.integration.client.command.terminal import at_terminal
from tests.integration.client.conftest import PASSWORD

LATER = '{"steps": 1000, "step_seconds": 60}'
# What rich itself writes: colours, the cursor and lines erased; nothing else may come.
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK]|\?25[lh]|[12]?K)")


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    """Run a hostile server."""
    with HostileServer() as server:
        yield server


@pytest.fixture
def deceived(nobody: Shell, hostile: HostileServer) -> Shell:
    """Give a shell that works with it."""
    nobody.environment.update(JOBYARD_URL=hostile.url, JOBYARD_TOKEN="a-token")
    return nobody


def test_bars_move_and_a_table_ends_it(shell: Shell) -> None:
    with at_terminal(
        shell, "jobs", "run", "demo.countdown", "--input", '{"steps": 5, "step_seconds": 0.1}', "--wait"
    ) as at:
        assert at.end() == 0
    assert re.search(r"running: Step \d of 5", at.text)
    assert "100%" in at.text
    assert at.text.count("\x1b[?25l") == at.text.count("\x1b[?25h") == 1
    assert "─────" in at.text


def test_each_file_has_its_bar(shell: Shell) -> None:
    names = ("cat-on-its-side.jpg", "photographer.png")
    with at_terminal(shell, "resize", *(str(SAMPLES / name) for name in names), "--width", "50", "-o", "out/") as at:
        assert at.end() == 0
    assert all(re.search(rf"{name} .*━.*downloaded", at.text) for name in names)


@pytest.mark.parametrize("how", ["--no-color", "NO_COLOR"])
def test_without_colour_there_is_none(shell: Shell, how: str) -> None:
    shell.ok("upload", SAMPLES / "photographer.png")
    words = ("files", "ls", how) if how.startswith("-") else ("files", "ls")
    shell.environment.update({} if how.startswith("-") else {how: "1"})
    with at_terminal(shell, *words) as at:
        assert at.end() == 0
    assert "photographer.png" in at.text
    assert not re.search(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", at.text)


def test_a_password_is_asked_for_and_not_shown(nobody: Shell, url: str, email: str) -> None:
    with at_terminal(nobody, "login", "--url", url) as at:
        at.read_until("E-mail: ")
        at.type(f"{email}\n")
        at.read_until("Password of ")
        at.type(f"{PASSWORD}\n")
        assert at.end() == 0
    assert PASSWORD not in at.text


def test_ctrl_c_ends_it_and_says_what_goes_on(shell: Shell) -> None:
    with at_terminal(shell, "jobs", "run", "demo.countdown", "--input", LATER, "--wait") as at:
        at.read_until("running")
        at.type("\x03")
        assert at.end() == 130
    (job,) = shell.ok("jobs", "ls", "--json").json
    assert (job["state"], f"job {job['id']} goes on; watch it: jobyard jobs watch {job['id']}" in flat(at.text)) == (
        "running",
        True,
    )
    assert at.text.rstrip().endswith(job["id"])
    assert "Traceback" not in at.text
    shell.ok("jobs", "cancel", job["id"])


def test_a_second_ctrl_c_ends_at_once_what_the_first_cannot_and_shows_the_cursor_again(shell: Shell) -> None:
    # Nobody writes into it, so that whoever reads waits, and cannot be cancelled.
    os.mkfifo(shell.directory / "pipe")
    writer = os.open(shell.directory / "pipe", os.O_RDWR)
    try:
        with at_terminal(shell, "upload", "pipe") as at:
            at.read_until("pipe")
            assert at.press_until_the_end("\x03") == 130
    finally:
        os.close(writer)
    assert at.text.count("^C") > 1
    assert at.text.rindex("\x1b[?25h") > at.text.rindex("\x1b[?25l")
    assert "Traceback" not in at.text
    # What an orderly end says.
    assert "(interrupted)" not in at.text


def test_ctrl_c_at_a_question_and_at_the_live_table_is_quiet(shell: Shell) -> None:
    for words, shown in ((("login", "--email", "ann@example.com"), "Password of "), (("watch",), "0 live")):
        with at_terminal(shell, *words) as at:
            at.read_until(shown)
            at.type("\x03")
            assert at.end() == 130
        assert "Traceback" not in at.text
        assert "(interrupted)" in at.text


def test_the_live_table_shows_jobs_as_they_change(shell: Shell) -> None:
    with at_terminal(shell, "watch") as at:
        at.read_until("0 live")
        job = shell.ok("jobs", "run", "demo.countdown", "--input", LATER, "--json").json
        at.read_until("1 live")
        assert job["id"] in at.text
        shell.ok("jobs", "cancel", job["id"])
        at.read_until("cancelled")


def test_words_of_the_server_do_nothing_to_the_terminal(deceived: Shell) -> None:
    for words in (
        ("files", "ls"), ("files", "show", UNKNOWN), ("jobs", "ls"), ("jobs", "show", UNKNOWN),
        ("jobs", "watch", UNKNOWN), ("jobs", "cancel", UNKNOWN), ("files", "get", UNKNOWN),
    ):  # fmt: skip
        with at_terminal(deceived, *words) as at:
            at.end()
        left = OURS.sub("", at.text)
        assert not re.search(r"[\x1b\x07\x9b\u202e]", left), (words, left)
        assert "red]" in flat(left), (words, left)
        piped = deceived.run(*words, *(("--force",) if words[1] == "get" else ()))
        assert not re.search(r"[\x1b\x07\x9b\u202e]", piped.text + piped.errors), words


def test_json_carries_the_words_as_they_are_and_no_escapes(deceived: Shell, hostile: HostileServer) -> None:
    finished = deceived.ok("jobs", "show", UNKNOWN, "--json")
    assert finished.json == hostile.told(f"/v1/jobs/{UNKNOWN}")
    assert b"\x1b" not in finished.output
    assert finished.output.isascii()
    assert json.loads(deceived.run("jobs", "cancel", UNKNOWN, "--json").errors)["status"] == 409


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../x", "x"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x.txt", "x.txt"),
        (".bashrc", "_bashrc"),
        ("-rf", "_rf"),
        ("..", "_"),
        ("", "file"),
        ("a/", "file"),
        ("a\x00b\x1b[2J\n.txt", "a_b_[2J_.txt"),
        ("x" * 400 + ".jpg", "x" * 196 + ".jpg"),
        ("[red]x[/red]", "red]"),
    ],
)
def test_a_download_stays_where_it_was_asked_for(deceived: Shell, hostile: HostileServer, name: str, safe: str) -> None:
    hostile.name = name
    deceived.ok("files", "get", UNKNOWN, "-o", "out/")
    (made,) = (path for path in deceived.directory.parent.rglob("*") if path.is_file())
    assert made == deceived.directory / "out" / safe
    assert made.read_bytes() == CONTENT


def test_a_link_in_the_place_of_a_download_is_not_followed(deceived: Shell, hostile: HostileServer) -> None:
    hostile.name = "x.txt"
    precious = deceived.directory / "precious"
    precious.write_text("mine")
    (deceived.directory / "x.txt").symlink_to(precious)
    assert deceived.run("files", "get", UNKNOWN).status == 1
    deceived.ok("files", "get", UNKNOWN, "--force")
    assert precious.read_text() == "mine"


def flat(text: str) -> str:
    """Join what a terminal has broken into lines and cells."""
    return re.sub(r"\s+", " ", OURS.sub("", text)).replace("\r", "")
