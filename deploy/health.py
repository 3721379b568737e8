# noqa: INP001 - a script of the image, imported by nobody
"""Health checks of the containers without HTTP: `python deploy/health.py dispatcher|beat`.

Exits 0 when the process can do its work, 1 with one line that says why not.
"""

import sys

import psycopg
import redis

from shared.settings import get_settings

_TIMEOUT_SECONDS = 4


def check_broker() -> None:
    """Ask Redis for a sign of life; raises `redis.RedisError`."""
    with redis.Redis.from_url(
        get_settings().redis_url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
    ) as client:
        client.ping()


def check_dispatcher_lease() -> None:
    """Ask the database whether a dispatcher is active; raises `psycopg.Error` or `LookupError`.

    A healthy stand-by passes too: one lease is all there is.
    """
    with psycopg.connect(get_settings().database_url, connect_timeout=_TIMEOUT_SECONDS) as connection:
        row = connection.execute("SELECT 1 FROM dispatcher_lease WHERE expires_at > clock_timestamp()").fetchone()
    if row is None:
        raise LookupError("no dispatcher holds the lease")


CHECKS = {"beat": check_broker, "dispatcher": check_dispatcher_lease}


def main(arguments: list[str]) -> int:
    """Run the check that the first argument names; returns the exit status."""
    try:
        CHECKS[arguments[0]]()
    except (redis.RedisError, psycopg.Error, LookupError) as error:
        print(f"unhealthy: {error}", file=sys.stderr)  # noqa: T201 - Docker keeps what a health check prints
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
