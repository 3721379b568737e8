"""PostgreSQL 18 for development and tests, from a wheel, with nothing to install by hand."""

import secrets
import shutil
import signal
import threading
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import psycopg
from psycopg import sql

from ops.leash import Command, Leash
from ops.leftovers import end_leftover
from ops.local_service import LocalService, ServiceFailed
from ops.paths import write_private
from ops.ports import LOOPBACK
from ops.postgres_install import ENVIRONMENT, Account, cluster_home, find_binaries, server_account

_ROLE = "jobyard"
_DATABASE = "jobyard"
_MAINTENANCE = "postgres"
_CONNECT_SECONDS = 2
_INITDB = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale", "--encoding=UTF8"]
_CAREFREE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]


class LocalPostgres(LocalService):
    """A private PostgreSQL on 127.0.0.1 with a password of its own; what it stores stays in `directory`.

    `fsync=False` is for throw-away databases: much faster, and lost when the machine stops.
    As root the server runs as an unprivileged account, with a copy of its programs.
    """

    name: ClassVar[str] = "postgres"
    default_port: ClassVar[int] = 5432
    # The "fast shutdown": ends sessions instead of waiting for them.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        fsync: bool = True,
        leash: Leash | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        super().__init__(directory, port=port, leash=leash, stopping=stopping)
        self._fsync = fsync

    @property
    def url(self) -> str:
        """Where clients reach the database `jobyard`."""
        return self.database_url(_DATABASE)

    def database_url(self, name: str) -> str:
        """Return the URL of a database on this server, whether it exists or not."""
        return f"postgresql://{_ROLE}:{self._password}@{LOOPBACK}:{self.port}/{name}"

    @property
    def marker(self) -> str:
        """The data directory, as the command line names it."""
        return f"-D {self._cluster_directory} "

    def start(self) -> str:
        """Start the server, see that the database `jobyard` exists and return its URL. Raises ServiceFailed."""
        url = super().start()
        self.create_database(_DATABASE)
        return url

    def prepare(self) -> Command:
        """Make the database cluster at first use. Raises ServiceFailed."""
        if not self._cluster_directory.exists():
            self._initialise()
        # PostgreSQL itself believes its old pid file when any process of the same user has that number now.
        # Without the file it still finds a live rival, by the shared memory of the same directory.
        postmaster_pid = self._cluster_directory / "postmaster.pid"
        end_leftover(postmaster_pid, self.marker, self.stop_signal)
        postmaster_pid.unlink(missing_ok=True)
        # No unix socket: its path has a limit of about 100 bytes, and after a kill it would stay behind.
        options = [
            f"listen_addresses={LOOPBACK}",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=200",
        ]
        if not self._fsync:
            options += _CAREFREE
        arguments = [str(self._binaries / "postgres"), "-D", str(self._cluster_directory)]
        for option in options:
            arguments += ["-c", option]
        return Command(arguments, self._cluster_directory.parent, ENVIRONMENT, self._account.uid, self._account.gid)

    def is_ready(self) -> bool:
        """Tell whether our server answers, with our password."""
        # The password proves that it is our server.
        with suppress(psycopg.OperationalError):
            self._connect().close()
            return True
        return False

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database unless it exists, as a copy of `template` if given, and return its URL.

        The template must have no sessions while it is copied.
        """
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template or "template1")
        )
        with self._connect() as connection, suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(statement)
        return self.database_url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, ending its sessions."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def remove(self) -> None:
        """Stop the server and delete all that it stored, also when that is not inside `directory`."""
        self.stop()
        shutil.rmtree(self._cluster_directory.parent, ignore_errors=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    @cached_property
    def _account(self) -> Account:
        return server_account()

    @cached_property
    def _binaries(self) -> Path:
        return find_binaries(self._account)

    @cached_property
    def _cluster_directory(self) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True)
        return cluster_home(self.directory, self._account) / "data"

    @cached_property
    def _password(self) -> str:
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "password"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            self.database_url(_MAINTENANCE),
            # What the user's environment (PGHOSTADDR, PGSSLMODE, …) says is about other servers.
            hostaddr=LOOPBACK,
            sslmode="disable",
            connect_timeout=_CONNECT_SECONDS,
            autocommit=True,
        )

    def _initialise(self) -> None:
        # An interrupted initdb leaves only the unfinished directory, never half a database.
        unfinished = self._cluster_directory.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = unfinished.with_name("password")
        write_private(password_file, self._password)
        self._account.own(password_file)
        arguments = [str(self._binaries / "initdb"), "-D", str(unfinished), "-U", _ROLE, "--auth=scram-sha-256"]
        arguments += [f"--pwfile={password_file}", *_INITDB, *([] if self._fsync else ["--no-sync"])]
        try:
            answer = self._account.run(arguments, unfinished.parent)
        finally:
            password_file.unlink()
        if answer.returncode != 0:
            raise ServiceFailed(f"postgres: initdb failed: {answer.stderr.strip() or answer.stdout.strip()}")
        unfinished.rename(self._cluster_directory)
