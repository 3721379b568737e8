"""Writing a delivery of a webhook down as a job, by the dispatcher for an event and by the API for a replay."""

from dataclasses import replace
from typing import LiteralString
from uuid import UUID

from shared.job_kind import JobInput, JobKind
from shared.job_queue import NewJob, job_of
from shared.settings import Settings

KIND = "webhook.deliver"
TEST_EVENT: LiteralString = "webhook.test"
"""The event of a test that somebody asked for: its delivery has one attempt, and no failure of it counts."""


class DeliveryInput(JobInput):
    """Names the delivery."""

    delivery_id: UUID


def delivery_job(
    kind: JobKind, owner_id: UUID, delivery_id: UUID, endpoint_id: UUID, subject_id: UUID, settings: Settings
) -> NewJob:
    """Make the job that makes this delivery; write it down before the delivery's row, whose `job_id` names it.

    What is told of one subject to one endpoint goes one after the other, in order.
    """
    made = job_of(kind, owner_id, DeliveryInput(delivery_id=delivery_id), settings)
    return replace(made, concurrency_key=f"{endpoint_id}:{subject_id}")
