"""`jobyard jobs`, `watch`, `webhooks`, and what scripts rely on: exit statuses, JSON, lines."""

import json
from typing import Any

import pytest

from tests.integration.client.command.conftest import SAMPLES, Shell

UNKNOWN = "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44"
LATER = '{"steps": 1000, "step_seconds": 60}'


def countdown(shell: Shell, *words: str, steps: int = 2) -> Any:
    given = json.dumps({"steps": steps, "step_seconds": 0.01})
    return shell.ok("jobs", "run", "demo.countdown", "--input", given, "--json", *words).json


def test_a_job_is_run_waited_for_shown_and_listed(shell: Shell) -> None:
    job = countdown(shell, "--wait", "--tag", "nightly")
    assert (job["state"], job["result"]["steps"]) == ("succeeded", 2)
    assert shell.ok("jobs", "show", job["id"], "--json").json == job
    facts = dict(line.split("\t") for line in shell.ok("jobs", "show", job["id"]).lines)
    assert (facts["id"], facts["state"], facts["tags"]) == (job["id"], "succeeded", "nightly")
    countdown(shell)
    listed = shell.ok("jobs", "ls", "--tag", "nightly", "--state", "succeeded", "--kind", "demo.countdown").lines
    assert [line.split("\t")[:3] for line in listed] == [[job["id"], "demo.countdown", "succeeded"]]
    assert len(shell.ok("jobs", "ls", "--all", "--json").json) == 2


def test_the_input_of_a_job_is_read_from_a_file_or_a_pipe(shell: Shell) -> None:
    (shell.directory / "input.json").write_text('{"steps": 3}')
    for words, stdin in ((("--input", "@input.json"), b""), (("--input", "-"), b'{"steps": 3}')):
        job = shell.ok("jobs", "run", "demo.countdown", *words, "--json", stdin=stdin).json
        assert job["input"]["steps"] == 3
    assert shell.run("jobs", "run", "demo.countdown", "--input", "[]").status == 2
    assert shell.run("jobs", "run", "demo.countdown", "--input", "{").status == 2


def test_jobs_are_cancelled_and_retried(shell: Shell) -> None:
    first, second = (shell.ok("jobs", "run", "demo.countdown", "--input", LATER, "--json").json["id"] for _ in range(2))
    cancelled = shell.ok("jobs", "cancel", first, second, "--json").json
    assert [job["id"] for job in cancelled] == [first, second]
    ended = shell.run("jobs", "watch", first, "--json")
    assert (ended.status, json.loads(ended.lines[-1])["state"]) == (1, "cancelled")
    again = shell.ok("jobs", "retry", first, "--json").json
    assert again["retried_from"] == first
    shell.ok("jobs", "cancel", again["id"])


def test_following_a_job_gives_each_change_as_a_line_of_json(shell: Shell) -> None:
    job = countdown(shell, steps=3)
    changes = [json.loads(line) for line in shell.ok("jobs", "watch", job["id"], "--json").lines]
    assert {change["id"] for change in changes} == {job["id"]}
    versions = [change["version"] for change in changes]
    assert versions == sorted(set(versions))
    assert changes[-1] == shell.ok("jobs", "show", job["id"], "--json").json


def test_watching_gives_the_jobs_that_live_and_each_change(shell: Shell) -> None:
    waiting = shell.ok("jobs", "run", "demo.countdown", "--input", LATER, "--json").json
    with shell.start("watch", "--json", "--kind", "demo.countdown") as watching:
        assert watching.stdout
        try:
            seen = [json.loads(watching.stdout.readline())]
            shell.ok("jobs", "cancel", waiting["id"])
            while seen[-1]["state"] != "cancelled":
                seen.append(json.loads(watching.stdout.readline()))
        finally:
            watching.kill()
    assert {job["id"] for job in seen} == {waiting["id"]}


def test_a_failed_job_is_a_failed_command(shell: Shell) -> None:
    (shell.directory / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    failed = shell.run("resize", "broken.jpg", "--width", "10", "--wait", "--json")
    assert (failed.status, failed.json["state"]) == (1, "failed")
    problem = json.loads(failed.errors)
    assert (problem["title"], problem["code"]) == ("Job failed", failed.json["error"]["code"])


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("jobs", "show", UNKNOWN), 4, "job_not_found"),
        (("jobs", "show", "no id"), 5, "invalid_input"),
        (("jobs", "run", "no.kind"), 5, "invalid_input"),
        (("jobs", "retry", UNKNOWN), 4, "job_not_found"),
        (("files", "rm", UNKNOWN), 4, "file_not_found"),
        (("webhooks", "show", UNKNOWN), 4, "webhook_not_found"),
        (("jobs", "ls", "--limit", "0"), 2, "usage"),
        (("jobs", "ls", "--nonsense"), 2, "usage"),
        (("nonsense",), 2, "usage"),
        (("resize",), 2, "usage"),
        (("upload", "--url", "ftp://example.com", SAMPLES / "photographer.png"), 2, "usage"),
    ],
)
def test_each_failure_is_one_line_with_its_status_or_a_problem_document(
    shell: Shell, words: tuple[str, ...], status: int, code: str
) -> None:
    shell.environment["JOBYARD_TOKEN"] = json.loads(shell.credentials.read_text())["services"][
        json.loads(shell.credentials.read_text())["current"]
    ]["access_token"]
    told = shell.run(*words)
    assert (told.status, told.text, told.errors.count("\n")) == (status, "", 1)
    assert told.errors.startswith("jobyard: ")
    assert told.errors.endswith(f" ({code})\n")
    as_json = shell.run(*words, "--json")
    assert (as_json.status, as_json.text) == (status, "")
    assert json.loads(as_json.errors)["code"] == code


def test_a_job_that_is_done_cannot_be_cancelled(shell: Shell) -> None:
    job = countdown(shell, "--wait")
    assert shell.run("jobs", "cancel", job["id"]).status == 5


def test_options_of_every_command_stand_before_or_after_it(shell: Shell) -> None:
    assert shell.ok("--json", "jobs", "ls").json == shell.ok("jobs", "ls", "--json").json == []


def test_webhooks_are_registered_changed_tried_and_deleted(shell: Shell) -> None:
    made = shell.ok("webhooks", "create", "http://127.0.0.1:9/hook", "--event", "job.*", "--json").json
    webhook_id, secret = made["id"], made["secret"]
    assert shell.ok("webhooks", "secret", webhook_id).lines == [secret]
    shown = shell.ok("webhooks", "show", webhook_id).text + shell.ok("webhooks", "ls", "--json").text
    assert secret not in shown
    rotated = shell.ok("webhooks", "rotate", webhook_id, "--overlap", "0")
    fresh = shell.ok("webhooks", "secret", webhook_id, "--json").json["secret"]
    assert (fresh != secret, fresh in rotated.text + rotated.errors) == (True, False)
    tried = shell.run("webhooks", "test", webhook_id, "--json")
    delivery = tried.json
    assert (tried.status, delivery["state"], delivery["error"]) == (1, "failed", "connection_refused")
    assert json.loads(tried.errors)["code"] == "not_delivered"
    assert [each["id"] for each in shell.ok("webhooks", "deliveries", webhook_id, "--json").json] == [delivery["id"]]
    changed = shell.ok("webhooks", "update", webhook_id, "--disable", "--description", "off", "--json").json
    assert (changed["disabled"], changed["description"]) == (True, "off")
    assert shell.run("webhooks", "update", webhook_id).status == 2
    shell.ok("webhooks", "rm", webhook_id)
    assert shell.ok("webhooks", "ls", "--json").json == []


def test_nothing_in_a_pipe_has_escapes_and_quiet_is_quiet(shell: Shell) -> None:
    shell.environment["FORCE_COLOR"] = ""
    finished = shell.ok("resize", SAMPLES / "photographer.png", "--width", "20", "--wait")
    assert "\x1b" not in finished.text + finished.errors
    assert shell.ok("-q", "jobs", "run", "demo.countdown", "--input", '{"steps": 1}', "--wait").errors == ""


def test_a_reader_that_goes_away_ends_it_quietly(shell: Shell) -> None:
    for _ in range(3):
        countdown(shell)
    with shell.start("jobs", "ls") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert (process.wait(60), process.stderr.read()) == (141, b"")


def test_the_version_is_told(nobody: Shell) -> None:
    assert nobody.ok("--version").text.startswith("jobyard ")
