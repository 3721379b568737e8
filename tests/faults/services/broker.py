"""A look at the broker from outside, and messages that no dispatcher would send."""

from collections.abc import Generator
from contextlib import closing, contextmanager

from shared.settings import Settings
from tests.faults.services.yards import ServedYard
from worker.celery_app import create_celery_app
from worker.publisher import Publisher


@contextmanager
def open_publisher(yard: ServedYard) -> Generator[Publisher]:
    """Open a connection to the broker such as the dispatcher has."""
    values = {
        "database_url": yard.postgres.url,
        "redis_url": yard.redis.url,
        "job_modules": ["worker.jobs", "tests.kinds"],
    }
    with closing(Publisher(create_celery_app(Settings.model_validate(values)))) as publisher:
        yield publisher
