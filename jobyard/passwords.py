"""Changing the password of an account, and going on with the new one."""

from dataclasses import replace

from jobyard.exchange import ask, json_request, read_as
from jobyard.flows import Flow
from jobyard.models import Account, Tokens
from jobyard.session import Session
from jobyard.tokens import sign_in


def change_password(session: Session, current: str, new: str) -> Flow[Tokens]:
    """Change the password and sign in with it: the refresh tokens of before are revoked."""
    request = json_request("PATCH", "/v1/users/me", {"current_password": current, "password": new})
    # Done and not answered, it would be refused: the current password is another by then.
    account = read_as(Account, (yield from ask(session, replace(request, repeatable=False))))
    if session.password is not None:
        session.password = new
    return (yield from sign_in(session, account.email, new))
