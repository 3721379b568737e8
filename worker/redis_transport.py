"""Celery's Redis transport with one client per connection pool.

kombu 5.7 builds a new `redis.Redis` for every command; that was a fifth of a worker's CPU per message. Clients hold no
connection of their own, so commands may share one for as long as they share the pool.
"""

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """Remembers the client of its pool."""

    _remembered: tuple[object, Any] | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - kombu's signature
        if asynchronous:
            # BRPOP and PSUBSCRIBE occupy a connection each: these clients are kept by kombu itself.
            return super()._create_client(asynchronous=True)
        pool: object = self.pool
        if self._remembered is None or self._remembered[0] is not pool:
            self._remembered = (pool, super()._create_client())
        return self._remembered[1]


class Transport(redis.Transport):
    """Is kombu's Redis transport with our channels."""

    Channel = Channel
