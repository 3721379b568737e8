"""A dramatiq user's no-op: the Redis broker with its default middleware (retries, time and age limits).

No result backend: dramatiq has none by default, and it costs extra. A message is acknowledged after the actor ended,
and is given to another worker when its own has not shown a sign of life for a minute.
"""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.bench.bell import ring

broker = RedisBroker(url=os.environ["RIVAL_REDIS_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(bell: str = "") -> None:
    """Do nothing."""
    ring(bell)
