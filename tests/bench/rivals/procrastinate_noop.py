"""A procrastinate user's no-op: PostgreSQL through psycopg, woken by LISTEN, finished jobs kept (its defaults).

The task is a coroutine: a plain function would go through a thread for each job.
"""

import os

from procrastinate import App, PsycopgConnector

from tests.bench.bell import ring

app = App(connector=PsycopgConnector(conninfo=os.environ["RIVAL_DATABASE_URL"]))


@app.task(name="noop")
async def noop(bell: str = "") -> None:
    """Do nothing."""
    ring(bell)
