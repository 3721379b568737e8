"""Redis (or Valkey) for development and tests: the machine's own, else the one inside a wheel."""

import secrets
import shutil
import signal
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops.leash import Command
from ops.local_service import LocalService
from ops.paths import write_private
from ops.ports import LOOPBACK
from ops.redis_install import find_server

_PROBE_SECONDS = 1.0
_CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
daemonize no
set-proc-title no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class LocalRedis(LocalService):
    """A private Redis on 127.0.0.1 with a password, an append-only file and no eviction."""

    name: ClassVar[str] = "redis"
    default_port: ClassVar[int] = 6379
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    def url(self) -> str:
        """Where clients reach the server."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    @property
    def marker(self) -> str:
        """The configuration file: every directory has its own."""
        return str(self._configuration)

    def prepare(self) -> Command:
        """Write the configuration. Raises ServiceFailed when no server is installed."""
        server = find_server()
        # Another release may not read this one's files, and what Redis holds can be done without.
        home = self.directory / f"store-{server.version[0]}.{server.version[1]}"
        home.mkdir(exist_ok=True)
        text = _CONFIGURATION.format(host=LOOPBACK, port=self.port, password=self._password)
        write_private(self._configuration, text)
        return Command([str(server.path), str(self._configuration)], home, _ENVIRONMENT)

    def is_ready(self) -> bool:
        """Tell whether our server answers, with our password, and has loaded its file."""
        client = redis.Redis(
            host=LOOPBACK,
            port=self.port,
            password=self._password,
            socket_timeout=_PROBE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        # A server that loads its file, or another that refuses our password, is not ready either.
        with suppress(redis.RedisError), client:
            return bool(client.ping())
        return False

    def remove(self) -> None:
        """Stop the server and delete all that it stored."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _configuration(self) -> Path:
        return self.directory / "redis.conf"

    @cached_property
    def _password(self) -> str:
        self.directory.mkdir(parents=True, exist_ok=True)
        file = self.directory / "password"
        if not file.exists():
            write_private(file, secrets.token_urlsafe(24))
        return file.read_text()
