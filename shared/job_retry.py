"""Retrying by hand: the new job that repeats one which did not succeed."""

from uuid import UUID

from pydantic import ValidationError

from shared.errors import IllegalTransition
from shared.ids import new_id
from shared.job_kind import JobKind
from shared.job_queue import NewJob
from shared.job_row import JobRow
from shared.job_state import JobState
from shared.settings import Settings

RETRYABLE = frozenset({JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})


def retried(old: JobRow, kind: JobKind | None, settings: Settings, job_id: UUID | None = None) -> NewJob:
    """Make the job that repeats an old one of this kind, under an id of the caller's choice if given.

    Raises `IllegalTransition` when its state, its kind or its input does not allow that.
    """
    if JobState(old.state) not in RETRYABLE:
        raise IllegalTransition(f"The job is {old.state}; only failed, cancelled and expired jobs can be retried.")
    if kind is None or kind.access != "public":
        raise IllegalTransition(f"Jobs of the kind {old.kind} cannot be retried by hand.")
    try:
        checked = kind.input_model.model_validate(old.input)
    except ValidationError as error:
        raise IllegalTransition(f"The kind {old.kind} has changed; it no longer takes this job's input.") from error
    return NewJob(
        id=job_id or new_id(),
        owner_id=old.owner_id,
        kind=kind.name,
        queue=kind.queue,
        input=old.input,
        max_attempts=old.max_attempts,
        priority=old.priority,
        tags=old.tags,
        retried_from=old.id,
        concurrency_key=old.concurrency_key,
        webhook_url=old.webhook_url,
        silent=old.silent,
        file_ids=checked.file_ids(),
        file_limits=kind.file_limits(settings),
    )
