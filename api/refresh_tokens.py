"""Refresh tokens: random, kept as a hash, good for one use. A family descends from one sign-in.

A family is over as soon as any token of it is marked as revoked. That is what makes a revocation final: a rotation
that is under way adds a token that the revocation cannot see yet, and its mark is read at that token's first use.
"""

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from shared.ids import new_id
from shared.models import TOKEN_KEPT_AFTER_EXPIRY, RefreshToken, User

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spent:
    """Is a token that has just been used up, and whose."""

    family_id: UUID
    user_id: UUID
    role: str


def hash_token(token: str) -> bytes:
    """Give what is stored of a token; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).digest()


async def add_token(session: AsyncSession, user_id: UUID, lifetime: timedelta, family_id: UUID | None = None) -> str:
    """Make a token and store its hash, in a family or as the first of a new one."""
    token = secrets.token_urlsafe(32)
    session.add(
        RefreshToken(
            token_hash=hash_token(token),
            family_id=family_id or new_id(),
            user_id=user_id,
            expires_at=func.now() + lifetime,
        )
    )
    await session.flush()
    return token


async def spend_token(session: AsyncSession, token: str) -> Spent | None:
    """Use a token up; None unless it is live and its user active. Of two rivals only one gets it."""
    sibling = aliased(RefreshToken)
    revoked = exists().where(sibling.family_id == RefreshToken.family_id, sibling.revoked_at.is_not(None))
    statement = (
        update(RefreshToken)
        .where(
            RefreshToken.token_hash == hash_token(token),
            RefreshToken.used_at.is_(None),
            RefreshToken.revoked_at.is_(None),
            RefreshToken.expires_at > func.now(),
            ~revoked,
            User.id == RefreshToken.user_id,
            User.is_active,
        )
        .values(used_at=func.now())
        .returning(RefreshToken.family_id, RefreshToken.user_id, User.role)
        .execution_options(synchronize_session=False)
    )
    row = (await session.execute(statement)).one_or_none()
    return Spent(*row) if row else None


async def revoke_family_of(session: AsyncSession, token: str, *, only_if_used: bool = False) -> None:
    """Revoke the family of a token, for a logout or because a used token came again; an unknown one is no error."""
    known = await session.get(RefreshToken, hash_token(token))
    if known is None or (only_if_used and known.used_at is None):
        return
    await _revoke(session, RefreshToken.family_id == known.family_id)
    if only_if_used:
        logger.warning("a used refresh token came again: revoked family %s of user %s", known.family_id, known.user_id)


async def revoke_all(session: AsyncSession, user_id: UUID) -> None:
    """Revoke every family of a user."""
    await _revoke(session, RefreshToken.user_id == user_id)


async def forget_expired(session: AsyncSession, user_id: UUID) -> None:
    """Delete a user's tokens that expired long enough ago."""
    await session.execute(
        delete(RefreshToken).where(
            RefreshToken.user_id == user_id, RefreshToken.expires_at < func.now() - TOKEN_KEPT_AFTER_EXPIRY
        )
    )


async def _revoke(session: AsyncSession, which: ColumnElement[bool]) -> None:
    # Locked in one order, so that two revocations never wait for each other.
    rows = (
        select(RefreshToken.token_hash)
        .where(which, RefreshToken.revoked_at.is_(None))
        .order_by(RefreshToken.token_hash)
        .with_for_update()
    )
    await session.execute(
        update(RefreshToken)
        .where(RefreshToken.token_hash.in_(rows))
        .values(revoked_at=func.now())
        .execution_options(synchronize_session=False)
    )
