"""What is left when a task of the asynchronous client is cancelled: nothing half, and nothing running."""

import asyncio
import io
import threading
from pathlib import Path

import pytest

from jobyard import AsyncJobyard, Progress
from tests.integration.client.conftest import Login


class Slow(io.BytesIO):
    """Is a file whose reader waits until it may go on."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.reading.set()
        assert self.go_on.wait(30)
        return super().read(size)


def test_an_upload_that_is_cancelled_ends_when_its_file_is_no_longer_read(url: str, login: Login) -> None:
    async def cancel_upload() -> list[str]:
        async with AsyncJobyard(url, **login) as client:
            content = Slow(b"slow")
            uploading = asyncio.create_task(client.files.upload(content, name="slow.txt"))
            await asyncio.to_thread(content.reading.wait, 30)
            uploading.cancel()
            await asyncio.sleep(0)
            assert not uploading.done()
            content.go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await uploading
            return [file.name async for file in client.files.list()]

    assert asyncio.run(cancel_upload()) == []


def test_of_a_download_that_is_cancelled_nothing_is_left(url: str, login: Login, tmp_path: Path) -> None:
    async def cancel_download() -> None:
        async with AsyncJobyard(url, **login) as client:
            file = await client.files.upload(b"0123456789abcde\n" * 1_000_000, name="large.txt")

            def cancel(progress: Progress) -> None:
                if progress.completed:
                    downloading.cancel()

            downloading = asyncio.create_task(client.files.download(file, tmp_path, cancel))
            with pytest.raises(asyncio.CancelledError):
                await downloading

    asyncio.run(cancel_download())
    assert list(tmp_path.iterdir()) == []


def test_a_wait_that_is_cancelled_lets_its_connection_go(url: str, login: Login) -> None:
    async def cancel_wait() -> None:
        async with AsyncJobyard(url, **login) as client:
            job = await client.jobs.create("demo.countdown", {"steps": 50, "step_seconds": 0.2})
            began = asyncio.Event()
            waiting = asyncio.create_task(client.jobs.wait(job.id, on_change=lambda _: began.set()))
            await began.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await client.jobs.cancel(job)).cancel_requested or job.done

    asyncio.run(cancel_wait())
