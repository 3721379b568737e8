"""The registry of events: examples that are what they claim to be, filters that mean something."""

import pytest

from shared.event_examples import JOB_CHANGES
from shared.events import EVENT_TYPES, EventType, covers, is_filter, known_filters
from shared.job_state import TERMINAL, JobState
from shared.schemas import Job


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=lambda event: event.name)
def test_an_example_is_exactly_what_its_model_makes(event: EventType) -> None:
    shown = event.model.model_validate(event.example).model_dump(mode="json", by_alias=True)
    assert shown == event.example


@pytest.mark.parametrize("state", JobState)
def test_a_jobs_example_is_of_a_job_in_that_state(state: JobState) -> None:
    job = Job.model_validate(EVENT_TYPES[f"job.{state}"].example)
    assert job.state == state
    assert job.done == (state in TERMINAL) == (job.finished_at is not None)
    assert (job.result is not None) == (state == JobState.SUCCEEDED)
    assert (job.error is not None) == (job.done and state != JobState.SUCCEEDED)
    assert (job.last_error is not None) == (state == JobState.RETRYING)
    assert JOB_CHANGES.keys() == set(JobState)


def test_every_filter_means_some_event() -> None:
    for filter_ in known_filters():
        assert is_filter(filter_)
        assert [name for name in EVENT_TYPES if covers(filter_, name)]
    assert all(covers("*", name) for name in EVENT_TYPES)
    assert not any(is_filter(text) for text in ("", ".*", "job", "job.", "jo*", "job.done", "**", "webhook.test"))
    assert covers("email.*", "email.recipient.sent")
    assert not covers("email.recipient.*", "email.settled")
