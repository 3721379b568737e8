"""Workers as operators see them: what each says of itself, and whether that is recent enough to be believed."""

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

from api.resources import Resources
from shared.service_models import Worker


class WorkerStatus(BaseModel):
    """Is what a worker last said of itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
                "name": "celery@yard-1",
                "pid": 4711,
                "queues": ["default", "images"],
                "slots": 2,
                "busy": 1,
                "consuming": True,
                "healthy": True,
                "started_at": "2026-11-24T12:00:00Z",
                "seen_at": "2026-11-24T12:30:00Z",
                "received_at": "2026-11-24T12:29:58Z",
            }
        }
    )

    id: UUID
    name: str
    pid: int
    queues: list[str]
    slots: int = Field(description="How many jobs it runs at once.")
    busy: int = Field(description="How many it is running.")
    consuming: bool = Field(description="Whether it takes messages from the broker.")
    healthy: bool = Field(description="Consuming, and seen within three quarters of a lease: 45 s by default.")
    started_at: datetime
    seen_at: datetime
    received_at: datetime | None = Field(description="When it last took a message.")


class WorkerList(BaseModel):
    """Lists workers; one that is lost stays for a day."""

    items: list[WorkerStatus]


async def list_workers(resources: Resources) -> WorkerList:
    """Tell how all workers are, by name."""
    silence = timedelta(seconds=resources.settings.silence_seconds)
    healthy = Worker.consuming & (Worker.seen_at > func.clock_timestamp() - silence)
    statement = select(*Worker.__table__.columns, healthy.label("healthy")).order_by(Worker.name, Worker.id)
    async with resources.sessions() as session:
        rows = (await session.execute(statement)).mappings()
        return WorkerList(items=[WorkerStatus.model_validate(dict(row)) for row in rows])
