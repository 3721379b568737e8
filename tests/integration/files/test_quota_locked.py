"""An owner whose usage somebody has locked for long: whoever froze, or cleans up, within a transaction."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
from fastapi.testclient import TestClient

from api.resources import LEDGER_CONNECTIONS
from shared.settings import Settings
from tests.conftest import Owner
from tests.integration.files.bodies import PNG, count
from tests.lock_waits import WAITING


def test_uploads_that_wait_for_a_locked_usage_stop_nobody_else(
    client: TestClient, owner: Owner, stranger: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    def upload(_: int) -> int:
        return client.post("/v1/files", content=PNG, headers=owner.headers).status_code

    assert upload(0) == 201
    uploads = LEDGER_CONNECTIONS + 4
    with ThreadPoolExecutor(uploads) as threads:
        with psycopg.connect(settings.database_url) as holder:
            holder.execute("SELECT FROM storage_usage FOR UPDATE")
            sent = [threads.submit(upload, number) for number in range(uploads)]
            while database.execute(WAITING).fetchone() != (LEDGER_CONNECTIONS,):
                pass

            # The first of those who wait give up before this does.
            assert client.get("/v1/limits", headers=stranger.headers).status_code == 200
        answered = {each.result() for each in sent}

    assert answered <= {201, 503}
    assert 503 in answered
    assert count(database, "uploads") == 0
