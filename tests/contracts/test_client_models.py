"""The client's models beside the server's shapes: neither knows a field that the other does not."""

from dataclasses import fields

import pytest
from pydantic import BaseModel

import jobyard
from api import (
    account_bodies,
    broadcast_room,
    email_batches,
    email_template_shapes,
    file_bodies,
    file_links,
    image_presets,
    job_lists,
    mailing_shapes,
    owner_limits,
    queues,
    quotas,
    stream_tickets,
    suppression_shapes,
    webhook_delivery_shapes,
    webhook_shapes,
    workers,
)
from jobyard.reading import Model
from shared import account_shapes, email_shapes, events, file_shapes, schemas

PAIRS: list[tuple[type[Model], type[BaseModel]]] = [
    (jobyard.Job, schemas.Job),
    (jobyard.JobProgress, schemas.JobProgress),
    (jobyard.JobError, schemas.JobError),
    (jobyard.JobAttempt, job_lists.JobAttempt),
    (jobyard.File, file_shapes.File),
    (jobyard.FileAndJob, file_bodies.FileAndJob),
    (jobyard.FileBatch, file_bodies.Batch),
    (jobyard.FileBatchItem, file_bodies.BatchItem),
    (jobyard.ImagePreset, image_presets.ImagePreset),
    (jobyard.Link, file_links.Link),
    (jobyard.Account, account_shapes.Account),
    (jobyard.Limits, owner_limits.Limits),
    (jobyard.Tokens, account_bodies.TokenPair),
    (jobyard.StreamTicket, stream_tickets.NewStreamTicket),
    (jobyard.Email, email_shapes.Email),
    (jobyard.Recipient, email_shapes.EmailRecipient),
    (jobyard.EmailBatch, email_batches.EmailBatch),
    (jobyard.EmailBatchItem, email_batches.EmailBatchItem),
    (jobyard.Mailing, mailing_shapes.Mailing),
    (jobyard.Template, email_template_shapes.EmailTemplate),
    (jobyard.Preview, email_template_shapes.Preview),
    (jobyard.Suppression, suppression_shapes.Suppression),
    (jobyard.Webhook, webhook_shapes.NewWebhook),
    (jobyard.WebhookSecret, webhook_shapes.WebhookSecret),
    (jobyard.Delivery, webhook_delivery_shapes.DeliveryWithBody),
    (jobyard.Replayed, webhook_delivery_shapes.Replayed),
    (jobyard.Event, events.Event),
    (jobyard.QueueStatus, queues.QueueStatus),
    (jobyard.WorkerStatus, workers.WorkerStatus),
    (jobyard.Broadcast, broadcast_room.Broadcast),
    (jobyard.UserQuota, quotas.UserQuota),
    (jobyard.Usage, quotas.Usage),
]
LEFT_OUT = {"links", "token_type"}
"""The client makes its own paths, and there is one kind of token."""


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_a_model_knows_what_the_server_says(ours: type[Model], theirs: type[BaseModel]) -> None:
    known = {field.metadata.get("name", field.name) for field in fields(ours)} - {"raw"}
    said = {field.alias or name for name, field in theirs.model_fields.items()} - LEFT_OUT
    assert known == said
