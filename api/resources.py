"""What one web process owns: pools, storage, kinds. Opened by the app's lifespan, closed by it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from api.downloads import Downloads
from api.file_links import LinkKeys
from api.job_changes import JobChanges
from api.nudger import Nudger
from api.passwords import Passwords
from api.renderer import Renderer
from api.storage_calls import StorageCalls
from api.stream_places import StreamPlaces
from api.tokens import TokenReader
from api.turns import Turns
from api.unauthenticated import Unauthenticated
from api.unsubscribe_links import UnsubscribeLinks
from shared.database import CONNECT_TIMEOUT_SECONDS, make_async_engine, web_connection_options
from shared.job_kind import JobKind, load_job_kinds
from shared.settings import Settings
from shared.storage import Storage, open_storage

LEDGER_CONNECTIONS = 8
UPLOADS_FINISHING = 4
_CANCEL_AGAIN_SECONDS = 0.1

LedgerPool = AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]


@dataclass(slots=True)
class Resources:
    """Holds the resources of a web process.

    `ledger` gives autocommit connections for the hot pair of create and read job, `sessions` everything else.
    """

    settings: Settings
    kinds: dict[str, JobKind]
    storage: Storage
    storage_calls: StorageCalls
    storage_probe: StorageCalls
    downloads: Downloads
    links: LinkKeys
    unsubscribe_links: UnsubscribeLinks
    tokens: TokenReader
    passwords: Passwords
    renderer: Renderer
    ledger: LedgerPool
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    changes: JobChanges
    stream_places: StreamPlaces
    unauthenticated: Unauthenticated
    nudger: Nudger
    finishing: Turns

    @property
    def job_retention(self) -> timedelta:
        """How long a finished job is kept."""
        return timedelta(days=self.settings.job_retention_days)

    def note_enqueued(self, owner_id: UUID) -> None:
        """Have the dispatcher and those who watch the owner learn of new jobs; call it after the commit."""
        self.nudger.nudge()
        self.changes.announce_new(owner_id)


def make_resources(settings: Settings) -> Resources:
    """Make the resources without opening anything."""
    ledger: LedgerPool = AsyncConnectionPool(
        settings.database_url,
        kwargs={"autocommit": True, **web_connection_options()},
        min_size=1,
        max_size=LEDGER_CONNECTIONS,
        timeout=CONNECT_TIMEOUT_SECONDS,
        reconnect_timeout=30,
        open=False,
    )
    engine = make_async_engine(settings)
    storage, reading = open_storage(settings), StorageCalls("reading")
    return Resources(
        settings=settings,
        kinds=load_job_kinds(settings.job_modules),
        storage=storage,
        storage_calls=StorageCalls("writing"),
        storage_probe=StorageCalls("probe", 1),
        downloads=Downloads(storage, reading),
        links=LinkKeys(settings),
        unsubscribe_links=UnsubscribeLinks(settings),
        tokens=TokenReader(settings),
        passwords=Passwords(),
        renderer=Renderer(),
        ledger=ledger,
        engine=engine,
        sessions=async_sessionmaker(engine, expire_on_commit=False),
        changes=JobChanges(settings, ledger),
        stream_places=StreamPlaces(settings),
        unauthenticated=Unauthenticated(),
        nudger=Nudger(ledger),
        finishing=Turns(UPLOADS_FINISHING),
    )


@asynccontextmanager
async def open_resources(resources: Resources) -> AsyncGenerator[None]:
    """Open the pools and start the listeners; a service that is away is waited for in the background."""
    async with AsyncExitStack() as stack:
        stack.callback(resources.passwords.close)
        stack.callback(resources.renderer.close)
        for calls in (resources.storage_calls, resources.storage_probe, resources.downloads):
            stack.callback(calls.close)
        stack.push_async_callback(resources.engine.dispose)
        await resources.ledger.open(wait=False)
        stack.push_async_callback(resources.ledger.close)
        stack.push_async_callback(resources.changes.close)
        for background in (*resources.changes.tasks(), resources.nudger.run()):
            task = asyncio.create_task(background)
            stack.push_async_callback(_cancel, task)
        yield


async def _cancel(task: asyncio.Task[None]) -> None:
    # Until Python 3.12 asyncio.wait_for, which psycopg uses, can swallow a cancellation: once may not be enough.
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_CANCEL_AGAIN_SECONDS)
