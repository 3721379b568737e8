"""`/health`: alive, and able to accept work."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from api.deps import ResourcesDep
from api.resources import Resources

router = APIRouter(prefix="/health", tags=["health"])

CHECK_SECONDS = 2.0


class Liveness(BaseModel):
    """Says that the process answers."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """Says whether work can be accepted. Redis is not needed for that: jobs wait in PostgreSQL."""

    status: Literal["ready", "unavailable"]
    database: Literal["ok", "unavailable"]
    storage: Literal["ok", "unavailable"]


@router.get("/live")
async def live() -> Liveness:
    """Tell that the process answers."""
    return Liveness()


async def check_readiness(resources: ResourcesDep, response: Response) -> Readiness:
    """Look at what accepting work needs."""
    database = await _check_database(resources)
    storage = await _check_storage(resources)
    ready = database and storage
    if not ready:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return Readiness(
        status="ready" if ready else "unavailable",
        database="ok" if database else "unavailable",
        storage="ok" if storage else "unavailable",
    )


@router.get("/ready", responses={503: {"model": Readiness, "description": "Work cannot be accepted now."}})
async def ready(readiness: Annotated[Readiness, Depends(check_readiness)]) -> Readiness:
    """Tell whether work can be accepted."""
    return readiness


async def _check_database(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS), resources.ledger.connection() as connection:
            await connection.execute("SELECT 1 FROM dispatcher_lease")
    except Exception:  # noqa: BLE001 - whatever it is, the database cannot be used
        return False
    return True


async def _check_storage(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await asyncio.wrap_future(resources.storage_probe.begin(resources.storage.check))
    except Exception:  # noqa: BLE001 - likewise
        return False
    return True
