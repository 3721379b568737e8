"""`webhook.deliver`: tells an endpoint of one event, signed as Standard Webhooks has it.

An attempt that a crash cut off between the receiver's answer and our record is made again, under the same `webhook-id`:
receivers get each message at least once.
"""

from datetime import timedelta

from shared.job_context import JobContext
from shared.job_kind import JobResult, job
from shared.webhook_queue import KIND, DeliveryInput


class DeliveryResult(JobResult):
    """Says what became of the delivery, and the status that was answered."""

    state: str
    status: int | None


@job(
    KIND,
    queue="webhooks",
    access="internal",
    silent=True,
    timeout=timedelta(seconds=30),
    max_attempts=10,
)
async def deliver_webhook(job_input: DeliveryInput, context: JobContext) -> DeliveryResult:
    """Tell an endpoint of an event."""
    from worker.webhook_delivery import deliver  # noqa: PLC0415 - the front imports this module, but no HTTP client

    state, status = await deliver(job_input.delivery_id, context)
    return DeliveryResult(state=state, status=status)
