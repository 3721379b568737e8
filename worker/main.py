"""Celery's `-A` target."""

from worker.celery_app import create_celery_app

app = create_celery_app()
