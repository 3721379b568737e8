"""Examples of what events carry: how each differs from the example of its shape."""

from typing import Any

from pydantic import BaseModel

from shared.job_state import JobState

_NO_PROGRESS = dict.fromkeys(("completed", "total", "percent", "message"))
_UNSTARTED: dict[str, Any] = {"attempt": 0, "started_at": None, "progress": _NO_PROGRESS}
_END: dict[str, Any] = {
    "done": True,
    "version": 7,
    "finished_at": "2026-11-24T12:00:11Z",
    "purge_at": "2026-12-24T12:00:11Z",
}
_TIMEOUT = {"code": "timeout", "detail": "The attempt ran into its time limit.", "retryable": True}
_CANCELLED = {"code": "cancelled", "detail": "The job was cancelled.", "retryable": False}
_EXPIRED = {"code": "expired", "detail": "The job did not start in time.", "retryable": False}

JOB_CHANGES: dict[JobState, dict[str, Any]] = {
    JobState.SCHEDULED: _UNSTARTED | {"version": 1, "run_at": "2026-11-24T18:00:00Z"},
    JobState.QUEUED: _UNSTARTED | {"version": 1},
    JobState.RUNNING: {"version": 2, "progress": _NO_PROGRESS},
    JobState.RETRYING: {"version": 6, "last_error": _TIMEOUT, "next_attempt_at": "2026-11-24T12:00:09Z"},
    JobState.SUCCEEDED: _END | {"result": {"steps": 10, "seconds": 10.0}},
    JobState.FAILED: _END | {"attempt": 3, "error": _TIMEOUT},
    JobState.CANCELLED: _END | {"error": _CANCELLED, "cancel_requested": True},
    JobState.EXPIRED: _UNSTARTED | _END | {"version": 2, "error": _EXPIRED, "start_before": "2026-11-24T12:00:11Z"},
}
"""By the state that a job came to."""

_UNSENT: dict[str, Any] = {"sent_at": None}
_UNTRIED: dict[str, Any] = _UNSENT | {
    "attempts": 0, "reply_code": None, "reply_enhanced": None, "reply_text": None, "replied_at": None,
}  # fmt: skip

RECIPIENT_CHANGES: dict[str, dict[str, Any]] = {
    "sent": {},
    "deferred": _UNSENT
    | {
        "reply_code": 451, "reply_enhanced": "4.7.1", "reply_text": "Please try again later",
        "next_attempt_at": "2026-11-24T12:02:14Z",
    },
    "bounced": _UNSENT | {"reply_code": 550, "reply_enhanced": "5.1.1", "reply_text": "No such mailbox here"},
    "suppressed": _UNTRIED,
    "uncertain": _UNSENT
    | {
        "reply_code": None, "reply_enhanced": None,
        "reply_text": "The attempt broke off while the message was being handed over: it may have arrived.",
    },
    "cancelled": _UNTRIED,
    "failed": _UNTRIED,
}  # fmt: skip
"""By the state that a recipient came to."""


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """Give the example that a model's schema carries, in the order of its fields, which the schema sorts."""
    example = model.model_json_schema()["example"]
    return model.model_validate(example).model_dump(mode="json", by_alias=True)
