"""The guide's front: it hands the task to Celery inside the request and answers status from the result backend."""

from typing import Any

from fastapi import FastAPI

from tests.bench.naive.tasks import app as celery_app
from tests.bench.naive.tasks import noop

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer."""
    return {"status": "ok"}


@app.post("/jobs")
async def start_job() -> dict[str, str]:
    """Start a task."""
    task = noop.delay()
    return {"task_id": task.id, "status": "started"}


@app.get("/jobs/{task_id}")
async def read_status(task_id: str) -> dict[str, Any]:
    """Tell a task's state, which is PENDING for any id that is unknown."""
    task = celery_app.AsyncResult(task_id)
    state = task.state
    if state in {"PENDING", "STARTED"}:
        return {"state": state, "current": 0, "total": 1, "status": "Pending..."}
    return {"state": state, "current": 1, "total": 1, "status": str(task.info)}
