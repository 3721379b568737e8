"""The `mail.send` jobs that deliver e-mails."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from api.resources import Resources
from shared.job_queue import NewJob

KIND = "mail.send"


def mail_job(
    resources: Resources,
    owner_id: UUID,
    *,
    email_id: UUID | None = None,
    mailing_id: UUID | None = None,
    priority: int,
    tags: Sequence[str],
    run_at: datetime | None,
    file_ids: Sequence[UUID] = (),
) -> NewJob:
    """Make the job that delivers one e-mail, or several: those whose rows will name it.

    Its input tells people what it is about: the e-mail if it is one, the mailing if it is a part of one.
    """
    kind = resources.kinds[KIND]
    named = {"email_id": email_id, "mailing_id": mailing_id}
    return NewJob(
        owner_id=owner_id,
        kind=kind.name,
        queue=kind.queue,
        input={name: str(id_) if id_ else None for name, id_ in named.items()},
        max_attempts=kind.max_attempts,
        priority=priority,
        tags=list(tags),
        run_at=run_at,
        file_ids=list(dict.fromkeys(file_ids)),
    )
