"""`jobyard login`, `logout`, `whoami`."""

import getpass
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated

import typer

from jobyard import Account, AsyncJobyard, Tokens
from jobyard.command.inputs import usage
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.sign_ins import sign_in_of
from jobyard.command.text import plain
from jobyard.session import valid_base_url

app = typer.Typer()


@command(app)
def login(
    run: Run,
    *,
    email: Annotated[str | None, typer.Option(help="Your account's address; asked for in a terminal.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Sign in. The tokens are kept in a file that only you can read; the password is not kept."""
    url = valid_base_url(run.url)
    run.screen.note(f"signing in to {url}")
    address = email or _ask_email(password_stdin=password_stdin)
    password = _read_password() if password_stdin else _ask_password(address)

    async def sign_in(client: AsyncJobyard) -> tuple[Tokens, Account]:
        tokens = await client.login(address, password)
        return tokens, await client.me()

    tokens, account = run.perform(sign_in, signed_in=False)
    with run.credentials.locked():
        run.credentials.keep(url, sign_in_of(account.email, tokens), as_current=True)
    _show(run, account)


@command(app)
def logout(run: Run) -> None:
    """Sign out: the tokens are revoked and forgotten."""
    url = run.url
    with run.credentials.locked():
        kept = run.credentials.find(url)
        if kept is None:
            run.screen.note(f"there is no sign-in to {url}")
            return
        refresh_token = kept.refresh_token

        async def sign_out(_: AsyncJobyard) -> None:
            async with AsyncJobyard(url, refresh_token=refresh_token) as client:
                await client.logout()

        run.perform(sign_out, signed_in=False)
        run.credentials.forget(url)
    run.screen.note(f"signed out of {url}")


@command(app)
def whoami(run: Run) -> None:
    """Show which account is used, and where."""

    async def read(client: AsyncJobyard) -> Account:
        return await client.me()

    _show(run, run.perform(read))


def _show(run: Run, account: Account) -> None:
    if run.screen.json_wanted:
        run.screen.document(account.raw)
        return
    run.screen.facts(
        {
            "email": account.email,
            "name": account.name,
            "role": account.role,
            "id": account.id,
            "url": run.url,
        }
    )


def _ask_email(*, password_stdin: bool) -> str:
    if password_stdin or not sys.stdin.isatty():
        raise usage("--email is needed where nobody can be asked")
    with _whole_line():
        sys.stderr.write("E-mail: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()


def _read_password() -> str:
    # The line's end is not of the password; blanks may be.
    return sys.stdin.readline().rstrip("\r\n")


def _ask_password(email: str) -> str:
    if not sys.stdin.isatty():
        raise usage("--password-stdin is needed where nobody can be asked")
    with _whole_line():
        return getpass.getpass(f"Password of {plain(email)}: ", stream=sys.stderr)


@contextmanager
def _whole_line() -> Generator[None]:
    """End the line of a question that Ctrl-C has answered."""
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise
