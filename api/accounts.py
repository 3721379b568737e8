"""Accounts: registration, sign-in, and what users change about themselves."""

import contextlib
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.account_bodies import AccountChange, Registration, TokenPair, normalise_email
from api.passwords import Passwords
from api.refresh_tokens import add_token, forget_expired, revoke_all, revoke_family_of, spend_token
from api.resources import Resources
from api.tokens import Unauthorized, issue_access_token
from shared.account_shapes import Account
from shared.errors import JobyardError
from shared.models import SYSTEM_OWNER_ID, User

_LOOKS = 3


class EmailTaken(JobyardError):
    """Is raised when somebody has registered with the address, in whatever case."""

    status = 409
    code = "email_taken"
    title = "E-mail address taken"


class CredentialsNotValid(Unauthorized):
    """Is raised for a wrong password, an unknown address and an inactive account alike."""

    code = "invalid_credentials"


class RefreshTokenNotValid(Unauthorized):
    """Is raised for a refresh token that is unknown, expired, revoked or already used."""

    code = "invalid_refresh_token"


class PasswordWrong(JobyardError):
    """Is raised when a password change does not give the current one."""

    status = 422
    code = "wrong_password"
    title = "Invalid input"


async def register(resources: Resources, asked: Registration) -> Account:
    """Make an account; raises `EmailTaken`. Of two rivals for an address one gets it."""
    password_hash = await resources.passwords.hash(asked.password.get_secret_value())
    statement = (
        insert(User)
        .values(email=asked.email, name=asked.name, password_hash=password_hash)
        .on_conflict_do_nothing()
        .returning(User)
    )
    async with resources.sessions.begin() as session:
        user = await session.scalar(statement)
    if user is None:
        raise EmailTaken("An account with this address exists.", pointer="/email")
    return Account.of(user)


async def sign_in(resources: Resources, email: str, password: str) -> TokenPair:
    """Open a family of refresh tokens; raises `CredentialsNotValid`, after as much work as for a success."""
    # Another hash meanwhile means that the password was changed, or hashed anew by a rival sign-in: look again.
    for _ in range(_LOOKS):
        user = await _find(resources, email)
        matches = await resources.passwords.verify(password, user.password_hash if user else None)
        if user is None or not matches:
            break
        pair = await _open_family(resources, user, password)
        if pair is not None:
            return pair
    raise CredentialsNotValid("The e-mail address or the password is wrong.")


async def refresh(resources: Resources, token: str) -> TokenPair:
    """Exchange a refresh token for the next pair; raises `RefreshTokenNotValid`.

    A token that was used before ends its whole family: either its thief or its owner came second.
    """
    async with resources.sessions.begin() as session:
        spent = await spend_token(session, token)
        if spent is not None:
            following = await add_token(session, spent.user_id, _refresh_lifetime(resources), spent.family_id)
            return _pair(resources, spent.user_id, spent.role, following)
        # What it did must be committed, so the refusal is raised outside.
        await revoke_family_of(session, token, only_if_used=True)
    raise RefreshTokenNotValid("The refresh token is not valid, has expired or was used before; sign in again.")


async def sign_out(resources: Resources, token: str) -> None:
    """Revoke the family of a refresh token; one that is unknown is no error."""
    async with resources.sessions.begin() as session:
        await revoke_family_of(session, token)


async def read_account(resources: Resources, user_id: UUID) -> Account:
    """Read an account; raises `Unauthorized` when it is gone or inactive."""
    async with resources.sessions() as session:
        return Account.of(await _active_user(session, user_id))


async def change_account(resources: Resources, user_id: UUID, change: AccountChange) -> Account:
    """Change a name or a password; raises `PasswordWrong`. A new password ends every sign-in."""
    values: dict[str, Any] = {"name": change.name} if "name" in change.model_fields_set else {}
    known_hash = None
    if change.password is not None and change.current_password is not None:
        known_hash = await _confirm(resources, user_id, change.current_password.get_secret_value())
        values["password_hash"] = await resources.passwords.hash(change.password.get_secret_value())
    async with resources.sessions.begin() as session:
        if values:
            await _update(session, user_id, values, known_hash)
        if known_hash is not None:
            await revoke_all(session, user_id)
        return Account.of(await _active_user(session, user_id))


async def _find(resources: Resources, email: str) -> User | None:
    # An operator may have made an account that could not register, such as root@localhost.
    with contextlib.suppress(ValueError):
        email = normalise_email(email)
    statement = select(User).where(
        func.lower(User.email) == func.lower(email), User.is_active, User.id != SYSTEM_OWNER_ID
    )
    async with resources.sessions() as session:
        return await session.scalar(statement)


async def _open_family(resources: Resources, user: User, password: str) -> TokenPair | None:
    outdated = Passwords.is_outdated(user.password_hash)
    new_hash = await resources.passwords.hash(password) if outdated else user.password_hash
    # Held until the commit: a change of the password waits, and then finds the new family to revoke.
    unchanged = (
        select(User.role)
        .where(User.id == user.id, User.password_hash == user.password_hash, User.is_active)
        .with_for_update(read=not outdated)
    )
    async with resources.sessions.begin() as session:
        role = await session.scalar(unchanged)
        if role is None:
            return None
        if outdated:
            await session.execute(update(User).where(User.id == user.id).values(password_hash=new_hash))
        await forget_expired(session, user.id)
        token = await add_token(session, user.id, _refresh_lifetime(resources))
    return _pair(resources, user.id, role, token)


async def _confirm(resources: Resources, user_id: UUID, password: str) -> str:
    async with resources.sessions() as session:
        user = await _active_user(session, user_id)
    if not await resources.passwords.verify(password, user.password_hash):
        raise PasswordWrong("This is not the current password.", pointer="/current_password")
    return user.password_hash


async def _update(session: AsyncSession, user_id: UUID, values: dict[str, Any], known_hash: str | None) -> None:
    statement = update(User).where(User.id == user_id, User.is_active).values(**values).returning(User.id)
    if known_hash is not None:
        statement = statement.where(User.password_hash == known_hash)
    if await session.scalar(statement) is None and known_hash is not None:
        raise PasswordWrong("The password was changed meanwhile.", pointer="/current_password")


async def _active_user(session: AsyncSession, user_id: UUID) -> User:
    user = await session.scalar(
        select(User).where(User.id == user_id, User.is_active).execution_options(populate_existing=True)
    )
    if user is None:
        raise Unauthorized("This account is not active.")
    return user


def _refresh_lifetime(resources: Resources) -> timedelta:
    return timedelta(days=resources.settings.refresh_token_days)


def _pair(resources: Resources, user_id: UUID, role: str, refresh_token: str) -> TokenPair:
    access_token, seconds = issue_access_token(resources.settings, user_id, role)
    return TokenPair(access_token=access_token, expires_in=seconds, refresh_token=refresh_token)
