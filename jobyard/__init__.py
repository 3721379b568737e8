"""The Python client of Jobyard: `Jobyard`, or `AsyncJobyard` for asyncio. It needs nothing of Jobyard but its HTTP."""

from typing import TYPE_CHECKING, Any

from jobyard._version import __version__
from jobyard.admin_models import Broadcast, QueueStatus, Usage, UserQuota, WorkerStatus
from jobyard.client import Jobyard
from jobyard.email_models import Email, EmailBatch, EmailBatchItem, Mailing, Preview, Recipient, Suppression, Template
from jobyard.errors import (
    AnswerNotValid,
    Conflict,
    ConnectionFailed,
    ContentMismatch,
    Forbidden,
    InputProblem,
    InvalidInput,
    JobFailed,
    JobyardError,
    NotFound,
    RateLimited,
    ServerError,
    ServerFailed,
    TooLarge,
    Unauthorized,
    Unavailable,
    UploadInterrupted,
    WaitTimeout,
    WebhookNotValid,
)
from jobyard.models import (
    Account,
    File,
    FileAndJob,
    FileBatch,
    FileBatchItem,
    ImagePreset,
    Job,
    JobAttempt,
    JobError,
    JobProgress,
    Limits,
    Link,
    Progress,
    StreamTicket,
    Tokens,
    Upload,
)
from jobyard.webhook_models import Delivery, Event, Replayed, Webhook, WebhookSecret
from jobyard.webhook_signatures import verify_webhook

if TYPE_CHECKING:
    from jobyard.async_client import AsyncJobyard
else:

    def __getattr__(name: str) -> Any:
        """Import `AsyncJobyard` when it is asked for: who blocks need not import asyncio."""
        if name != "AsyncJobyard":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from jobyard import async_client  # noqa: PLC0415 - as it says

        return async_client.AsyncJobyard


__all__ = [
    "Account",
    "AnswerNotValid",
    "AsyncJobyard",
    "Broadcast",
    "Conflict",
    "ConnectionFailed",
    "ContentMismatch",
    "Delivery",
    "Email",
    "EmailBatch",
    "EmailBatchItem",
    "Event",
    "File",
    "FileAndJob",
    "FileBatch",
    "FileBatchItem",
    "Forbidden",
    "ImagePreset",
    "InputProblem",
    "InvalidInput",
    "Job",
    "JobAttempt",
    "JobError",
    "JobFailed",
    "JobProgress",
    "Jobyard",
    "JobyardError",
    "Limits",
    "Link",
    "Mailing",
    "NotFound",
    "Preview",
    "Progress",
    "QueueStatus",
    "RateLimited",
    "Recipient",
    "Replayed",
    "ServerError",
    "ServerFailed",
    "StreamTicket",
    "Suppression",
    "Template",
    "Tokens",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "Upload",
    "UploadInterrupted",
    "Usage",
    "UserQuota",
    "WaitTimeout",
    "Webhook",
    "WebhookNotValid",
    "WebhookSecret",
    "WorkerStatus",
    "__version__",
    "verify_webhook",
]
