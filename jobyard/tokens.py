"""Signing in and out, and renewing access tokens before they end or when the server refuses one."""

import json
from collections.abc import Mapping

from jobyard.errors import AnswerNotValid, Unauthorized
from jobyard.flows import Answer, Flow, Request, Send, exclusively, work
from jobyard.models import Account, Tokens
from jobyard.reading import read
from jobyard.retries import persist
from jobyard.session import Session


def current_token(session: Session) -> Flow[str | None]:
    """Give the token to send, a new one if the old one ends; None when there is none."""
    if session.needs_token:
        yield from renew(session, session.access_token)
    return session.access_token


def renew(session: Session, stale: str | None) -> Flow[bool]:
    """Have another token than the stale one; False when that cannot be had.

    Of rivals one asks, and all use what it got: a refresh token is good for one use, a second would end the sign-in.
    """
    return (yield from exclusively(_renew(session, stale)))


def register(session: Session, email: str, password: str, name: str | None) -> Flow[Account]:
    """Make an account; not sent again once it may have arrived, for then it would be refused as taken."""
    body = {"email": email, "password": password} | ({} if name is None else {"name": name})
    answer = yield from _post(session, "/v1/auth/register", body, repeatable=False)
    return read(Account, json.loads(answer.content))


def sign_in(session: Session, email: str, password: str) -> Flow[Tokens]:
    """Sign in and keep the tokens; raises `Unauthorized`."""
    return (yield from exclusively(_sign_in(session, email, password)))


def sign_out(session: Session) -> Flow[None]:
    """Revoke the refresh tokens of this sign-in and forget all secrets."""
    refresh_token = session.refresh_token
    session.forget()
    if refresh_token is not None:
        yield from _post(session, "/v1/auth/logout", {"refresh_token": refresh_token})


def _renew(session: Session, stale: str | None) -> Flow[bool]:
    if session.access_token != stale:
        return True
    if session.renewing is None:
        return (yield from _renew_alone(session))
    # It may have to wait for another program.
    scope = session.renewing()
    newest = yield from work(scope.__enter__)
    try:
        if newest is not None:
            session.use(newest)
            if newest.access_token != stale and not session.needs_token:
                return True
        return (yield from _renew_alone(session))
    finally:
        scope.__exit__(None, None, None)


def _renew_alone(session: Session) -> Flow[bool]:
    refresh_token, session.refresh_token = session.refresh_token, None
    if refresh_token is not None:
        try:
            answer = yield from _post(session, "/v1/auth/refresh", {"refresh_token": refresh_token}, repeatable=False)
        except Unauthorized:
            """It has ended; the password may still do."""
        except BaseException:
            session.refresh_token = refresh_token
            raise
        else:
            session.keep(_tokens(answer))
            return True
    if session.email is None or session.password is None:
        return False
    yield from _sign_in(session, session.email, session.password)
    return True


def _sign_in(session: Session, email: str, password: str) -> Flow[Tokens]:
    answer = yield from _post(session, "/v1/auth/login", {"email": email, "password": password})
    tokens = _tokens(answer)
    session.keep(tokens)
    return tokens


def _tokens(answer: Answer) -> Tokens:
    try:
        return read(Tokens, json.loads(answer.content))
    except ValueError:
        # Without its cause, which has the text, and maybe tokens, in it.
        raise AnswerNotValid("The server gave no tokens; is this the address of Jobyard?") from None


def _post(session: Session, path: str, body: Mapping[str, str], *, repeatable: bool = True) -> Flow[Answer]:
    request = Request(
        method="POST",
        path=path,
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
        repeatable=repeatable,
    )
    answer = yield from persist(request, Send, session.retries)
    if not isinstance(answer, Answer):
        raise TypeError("a request that is sent gives an answer")
    return answer
