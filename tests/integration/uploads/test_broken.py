"""Uploads that break off: by the client, by the network, by the death of the server."""

import hashlib

import httpx2
import psycopg
import pytest

from shared.settings import Settings
from tests.api_server import Server
from tests.conftest import Owner
from tests.integration.files.bodies import blobs, count
from tests.integration.uploads.conftest import StartServer
from tests.integration.uploads.raw import open_patch, read_status
from tests.integration.uploads.tus import begun, checksum, end, head, offset_of, patch, words

MEBIBYTE = 1024 * 1024
PART = 16 * MEBIBYTE


def _finished(server: Server, owner: Owner, path: str) -> str:
    with server.client() as client:
        file = head(client, owner, path).headers["jobyard-file"]
        return str(client.get(file, headers=owner.headers).json()["sha256"])


def _take_over(client: httpx2.Client, owner: Owner, path: str) -> int:
    """Continue with nothing, so that no elder request can move the offset any more; gives it."""
    while (answer := patch(client, owner, path, offset_of(client, owner, path), b"")).status_code == 409:
        pass
    return int(answer.headers["upload-offset"])


def test_a_cut_connection_keeps_what_was_read(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server, content = start_server(), words(3_000_000)
    with server.client() as client:
        path, kept = begun(client, owner, len(content)), 0
        for size in (1, 4095, 4096, 262_144, 262_145, 0, 500_003, 600_001):
            with open_patch(server, owner, path, kept, len(content) - kept) as connection:
                connection.sendall(content[kept : kept + size])
                while size > 400_000 and not list(settings.storage_dir.glob("incoming/*")):
                    client.get("/health/live")
            # What reached a smaller one may have been dropped with the connection; a block that was written was not.
            while size > 400_000 and offset_of(client, owner, path) == kept:
                pass
            reached = _take_over(client, owner, path)
            assert (262_144 if size > 400_000 else 0) <= reached - kept <= size
            kept = reached
        assert patch(client, owner, path, kept, content[kept:]).status_code == 204
    assert _finished(server, owner, path) == hashlib.sha256(content).hexdigest()
    assert (len(blobs(settings.storage_dir)), count(database, "uploads")) == (1, 0)


def test_of_a_cut_body_with_a_checksum_nothing_counts(
    start_server: StartServer, owner: Owner, settings: Settings
) -> None:
    server, content = start_server(), words(1_000_000)
    with server.client() as client:
        path = begun(client, owner, len(content))
        with open_patch(server, owner, path, 0, len(content), checksum("sha1", content)) as connection:
            connection.sendall(content[:-1])
            while not blobs(settings.storage_dir):
                client.get("/health/live")
        while blobs(settings.storage_dir):
            client.get("/health/live")
        assert offset_of(client, owner, path) == 0
        assert patch(client, owner, path, 0, content, Upload_Checksum=checksum("sha1", content)).status_code == 204
    assert _finished(server, owner, path) == hashlib.sha256(content).hexdigest()


def test_two_servers_take_turns_and_a_killed_one_loses_a_part_at_most(
    start_server: StartServer, owner: Owner, settings: Settings
) -> None:
    first, second, content = start_server(), start_server(), words(20 * MEBIBYTE)
    with first.client() as client, second.client() as other:
        path, kept = begun(client, owner, len(content)), 0
        for turn in (client, other, client):
            answer = patch(turn, owner, path, kept, content[kept : kept + MEBIBYTE])
            kept = int(answer.headers["upload-offset"])
        assert kept == 3 * MEBIBYTE
        with open_patch(first, owner, path, kept, len(content) - kept) as connection:
            connection.sendall(content[kept : kept + PART + MEBIBYTE // 2])
            while offset_of(other, owner, path) == kept:
                pass
            first.memory.kill()
            first.wait_exit()

        reached = offset_of(other, owner, path)
        assert PART - 512 * 1024 < reached - kept <= PART
        assert patch(other, owner, path, reached, content[reached:]).status_code == 204
    assert _finished(second, owner, path) == hashlib.sha256(content).hexdigest()
    left = {blob.relative_to(settings.storage_dir).parts[0] for blob in blobs(settings.storage_dir)}
    assert left == {"uploads", "incoming"}


def test_an_upload_that_is_ended_while_it_comes(
    start_server: StartServer, owner: Owner, settings: Settings, database: psycopg.Connection
) -> None:
    server, content = start_server(), words(600_000)
    with server.client() as client:
        path = begun(client, owner, len(content))
        with open_patch(server, owner, path, 0, len(content)) as connection:
            connection.sendall(content[:-1])
            while not blobs(settings.storage_dir):
                client.get("/health/live")
            assert end(client, owner, path).status_code == 204
            connection.sendall(content[-1:])
            assert read_status(connection) == 404
        assert head(client, owner, path).status_code == 404
    assert (blobs(settings.storage_dir), count(database, "uploads"), count(database, "files")) == ([], 0, 0)


@pytest.mark.parametrize("mebibytes", [33, pytest.param(64, marks=pytest.mark.long)])
def test_memory_stays_flat(start_server: StartServer, owner: Owner, mebibytes: int) -> None:
    server, content = start_server(), words(mebibytes * MEBIBYTE)
    with server.client() as client:
        warm = begun(client, owner, MEBIBYTE)
        assert patch(client, owner, warm, 0, content[:MEBIBYTE]).status_code == 204
        path, before, highest = begun(client, owner, len(content)), server.memory.memory_info().rss, 0
        with open_patch(server, owner, path, 0, len(content)) as connection:
            for start in range(0, len(content), MEBIBYTE):
                connection.sendall(content[start : start + MEBIBYTE])
                highest = max(highest, server.memory.memory_info().rss)
            assert read_status(connection) == 204
        highest = max(highest, server.memory.memory_info().rss)
    assert _finished(server, owner, path) == hashlib.sha256(content).hexdigest()
    assert highest - before < 10 * MEBIBYTE
