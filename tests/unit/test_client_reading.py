"""Answers as the client reads them: of newer servers, of older ones, and of what is no Jobyard."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jobyard import AnswerNotValid, Email, Job
from jobyard.reading import read

JOB: dict[str, Any] = {"id": "1", "kind": "a.b", "state": "queued", "done": False, "version": 1}


def test_what_is_unknown_is_ignored_and_kept_as_it_was_said() -> None:
    said = JOB | {"state": "dreaming", "mood": {"good": True}, "progress": {"percent": 50, "colour": "red"}}
    job = read(Job, said)
    assert (job.state, job.progress.percent, job.raw) == ("dreaming", 50.0, said)


def test_what_an_older_server_does_not_say_has_a_default() -> None:
    job = read(Job, JOB)
    assert (job.tags, job.result, job.priority, job.created_at) == ((), None, 0, None)


def test_times_are_aware_and_lists_do_not_change() -> None:
    job = read(Job, JOB | {"created_at": "2026-11-24T12:00:00.5Z", "tags": ["a"]})
    assert (job.created_at, job.tags) == (datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC), ("a",))
    assert job == read(Job, job.raw)
    assert hash(job.created_at) == hash(read(Job, job.raw).created_at)


def test_words_of_python_have_other_names() -> None:
    said = {"id": "1", "from": "a@b.example", "subject": "S", "done": True, "recipients": [], "counts": {"sent": 1}}
    assert read(Email, said).sender == "a@b.example"
    assert read(Email, said).counts["sent"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "text",
        {},
        JOB | {"id": 1},
        JOB | {"version": True},
        JOB | {"version": "1"},
        JOB | {"done": 1},
        JOB | {"tags": "a"},
        JOB | {"created_at": "yesterday"},
        JOB | {"progress": []},
        JOB | {"error": {"detail": "no code"}},
    ],
)
def test_what_is_no_job_is_named_so(wrong: object) -> None:
    with pytest.raises(AnswerNotValid, match="Job"):
        read(Job, wrong)
