"""Saying which of an owner's jobs are meant: in lists, and in actions on many at once."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from shared.job_retry import RETRYABLE
from shared.job_row import JobRow
from shared.job_state import TERMINAL, JobState
from shared.models import Job

BulkAction = Literal["cancel", "retry", "purge"]

REACH: dict[BulkAction, frozenset[JobState]] = {
    "cancel": frozenset(JobState) - TERMINAL,
    "retry": RETRYABLE,
    "purge": TERMINAL,
}
"""The states of the jobs that each action can do something with."""

ROW: list[InstrumentedAttribute[Any]] = [getattr(Job, column.name) for column in fields(JobRow)]
"""The columns to select for a `JobRow`."""


class JobCriteria(BaseModel):
    """Says which jobs an action is for. What is absent does not matter; a list means any of it, `tag` all of it.

    Without `kind` and `id` jobs of silent kinds are not meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: list[JobState] = Field(default_factory=list)
    kind: list[str] = Field(default_factory=list)
    tag: list[str] = Field(default_factory=list)
    id: list[UUID] = Field(default_factory=list)
    created_after: AwareDatetime | None = None


def matching(
    *,
    states: Sequence[JobState] = (),
    kinds: Sequence[str] = (),
    tags: Sequence[str] = (),
    ids: Sequence[UUID] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> list[ColumnElement[bool]]:
    """Give the conditions that a job must meet; what is empty is none. Both times are exclusive.

    Jobs of silent kinds, such as deliveries of webhooks, are meant only by naming kinds or ids.
    """
    conditions: list[ColumnElement[bool]] = []
    if not kinds and not ids:
        conditions.append(~Job.silent)
    if states:
        conditions.append(Job.state.in_(states))
    if kinds:
        conditions.append(Job.kind.in_(kinds))
    if tags:
        conditions.append(Job.tags.contains(tags))
    if ids:
        conditions.append(Job.id.in_(ids))
    if created_after is not None:
        conditions.append(Job.created_at > created_after)
    if created_before is not None:
        conditions.append(Job.created_at < created_before)
    return conditions
