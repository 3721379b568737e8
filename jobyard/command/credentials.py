"""Where sign-ins are kept: one file that only its owner can read, written in one step, with one writer at a time."""

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from jobyard.command.exits import CommandFailed, ExitStatus

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class SignIn:
    """Is what a service has given for a password, which is not kept. Times are seconds since 1970."""

    email: str
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float


class CredentialsFile:
    """Keeps a sign-in for each service, by its URL, and which service was signed in to last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current_url(self) -> str | None:
        """Give the service that was signed in to last."""
        url = self._read().get("current")
        return url if isinstance(url, str) else None

    def find(self, url: str) -> SignIn | None:
        """Give the sign-in to a service, if there is one. Raises `CommandFailed` when others can read the file."""
        stored = _services(self._read()).get(url)
        try:
            return SignIn(**stored) if stored else None
        except TypeError:
            raise self._damaged() from None

    def keep(self, url: str, sign_in: SignIn, *, as_current: bool = False) -> None:
        """Keep a sign-in in place of the service's former one; call it under `locked`."""
        content = self._read()
        content["services"] = _services(content) | {url: asdict(sign_in)}
        if as_current:
            content["current"] = url
        self._write(content)

    def forget(self, url: str) -> None:
        """Forget the sign-in to a service; call it under `locked`."""
        content = self._read()
        content["services"] = {each: kept for each, kept in _services(content).items() if each != url}
        if content.get("current") == url:
            content["current"] = next(reversed(content["services"]), None)
        self._write(content)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other commands from reading and replacing tokens meanwhile: a refresh token is good only once."""
        self._make_directory()
        # Beside the file, which is replaced at each writing.
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, Any]:
        try:
            with self.path.open(encoding="utf-8") as file:
                self._require_private(os.fstat(file.fileno()))
                content = json.load(file)
        except FileNotFoundError:
            return {}
        except ValueError:
            raise self._damaged() from None
        if not isinstance(content, dict):
            raise self._damaged()
        return cast("dict[str, Any]", content)

    def _require_private(self, status: os.stat_result) -> None:
        if status.st_mode & _OTHERS:
            raise CommandFailed(
                "Not signed in",
                f"others can read {self.path}: sign out wherever its tokens may be known, then chmod 600 it",
                code="credentials_exposed",
                status=ExitStatus.REFUSED,
            )

    def _damaged(self) -> CommandFailed:
        return CommandFailed(
            "Not signed in",
            f"{self.path} is damaged: delete it and sign in again",
            code="credentials_damaged",
            status=ExitStatus.REFUSED,
        )

    def _write(self, content: dict[str, Any]) -> None:
        self._make_directory()
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _make_directory(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def credentials_file(environment: Mapping[str, str]) -> CredentialsFile:
    """Give the file of this user: in `$XDG_CONFIG_HOME/jobyard`, or `~/.config/jobyard`."""
    home = environment.get("XDG_CONFIG_HOME", "")
    # The specification wants relative paths ignored.
    base = Path(home) if home.startswith("/") else Path.home() / ".config"
    return CredentialsFile(base / "jobyard" / "credentials.json")


def _services(content: Mapping[str, Any]) -> dict[str, Any]:
    services = content.get("services")
    return cast("dict[str, Any]", services) if isinstance(services, dict) else {}
