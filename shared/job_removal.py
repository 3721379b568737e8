"""Forgetting jobs that are over, with what has no meaning without them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from shared.mail_models import Email, Mailing
from shared.models import Job


def remove_jobs(session: Session, job_ids: Sequence[UUID]) -> None:
    """Delete jobs, which the caller knows to be over and has locked; attempts and e-mails go too, files stay.

    A mailing goes with the last of its e-mails.
    """
    of_mailings = select(Email.mailing_id).where(Email.job_id.in_(job_ids), Email.mailing_id.is_not(None)).distinct()
    mailing_ids = session.scalars(of_mailings).all()
    # An e-mail without its job says nothing that its owner could still need.
    session.execute(delete(Email).where(Email.job_id.in_(job_ids)))
    if mailing_ids:
        _remove_empty(session, mailing_ids)
    session.execute(delete(Job).where(Job.id.in_(job_ids)))


def _remove_empty(session: Session, mailing_ids: Sequence[UUID | None]) -> None:
    # Two that delete the last e-mails of a mailing do not see each other's work: the second waits here for the first.
    session.execute(select(Mailing.id).where(Mailing.id.in_(mailing_ids)).order_by(Mailing.id).with_for_update())
    is_empty = ~select(Email.id).where(Email.mailing_id == Mailing.id).exists()
    session.execute(delete(Mailing).where(Mailing.id.in_(mailing_ids), is_empty))
