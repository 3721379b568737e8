"""Whether an application of a test hears by Redis: until it does, only the ledger tells it of changes."""

from typing import Any

import redis

from shared.job_events import CHANNEL
from shared.settings import Settings
from tests.polling import await_that


def wait_for_subscription(settings: Settings) -> None:
    """Wait until somebody hears of changes."""
    with redis.Redis.from_url(settings.redis_url) as client:

        def look() -> bool:
            numbers: Any = client.pubsub_numsub(CHANNEL)
            return bool(numbers[0][1])

        await_that(look)
