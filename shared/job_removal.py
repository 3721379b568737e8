"""Forgetting jobs that are over, with what has no meaning without them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.orm import Session

from shared.mail_models import Email
from shared.models import Job


def remove_jobs(session: Session, job_ids: Sequence[UUID]) -> None:
    """Delete jobs, which the caller knows to be over and has locked; attempts and e-mails go too, files stay."""
    # An e-mail without its job says nothing that its owner could still need.
    session.execute(delete(Email).where(Email.job_id.in_(job_ids)))
    session.execute(delete(Job).where(Job.id.in_(job_ids)))
