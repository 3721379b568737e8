"""The two fronts that store and send files, and what is sent to them."""

import random
import shutil
from contextlib import ExitStack
from pathlib import Path

import httpx2

from ops.leash import Leash
from ops.paths import VAR
from ops.ports import LOOPBACK
from tests.bench.jobyard_side import Jobyard
from tests.bench.naive_side import Naive
from tests.bench.plan import Plan

MEGABYTE = 2**20
_BODIES = VAR / "bench" / "bodies"
_HEAD = b"%PDF-1.7\n"
_BLOCK_BYTES = 16 * MEGABYTE
_SEED = 4


def content_file(megabytes: int) -> Path:
    """Give the path of a file that begins like a PDF and goes on as noise; it is made once and then kept."""
    path = _BODIES / f"{megabytes}-megabytes.pdf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        block = random.Random(_SEED).randbytes(_BLOCK_BYTES)  # noqa: S311 - the same noise every time is the point
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.write(_HEAD)
            while (left := megabytes * MEGABYTE - file.tell()) > 0:
                file.write(block[:left])
        unfinished.replace(path)
    return path


class GuideFiles(Naive):
    """Is the guide's way with files, and the same with `UploadFile` read in chunks."""

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack) -> None:
        self.uploads = directory / "uploads"
        self.uploads.mkdir(parents=True, exist_ok=True)
        self.forget()
        stack.callback(self.forget)
        super().__init__(directory, plan, leash, stack)

    def environment(self) -> dict[str, str]:
        return super().environment() | {"NAIVE_UPLOAD_DIRECTORY": str(self.uploads)}

    def front_arguments(self) -> list[str]:
        app, options = "tests.bench.naive.files_front:app", ["--loop", "uvloop", "--http", "httptools"]
        return ["-m", "uvicorn", app, "--port", str(self.port), "--no-access-log", *options]

    def forget(self) -> None:
        """Delete what was uploaded."""
        for path in self.uploads.iterdir():
            path.unlink()


class JobyardFiles(Jobyard):
    """Is Jobyard's front, allowed to store what is sent here; nothing of it stays behind."""

    def __init__(self, directory: Path, plan: Plan, leash: Leash, stack: ExitStack) -> None:
        stack.callback(shutil.rmtree, directory / "storage", ignore_errors=True)
        super().__init__(directory, plan, leash, stack)

    def environment(self) -> dict[str, str]:
        most = 2 * self.plan.upload_megabytes * MEGABYTE
        return super().environment() | {"JOBYARD_MAX_UPLOAD_BYTES": str(most)}

    def prepare(self) -> None:
        """Sign in through a front of its own: hashing the password would leave its memory behind."""
        self.start_front()
        self.sign_in()
        self.stop_front()

    def forget(self) -> None:
        """Delete what was uploaded."""
        with httpx2.Client(
            base_url=f"http://{LOOPBACK}:{self.port}/v1", headers=self.headers, trust_env=False, timeout=60
        ) as client:
            for file in client.get("/files").raise_for_status().json()["items"]:
                client.delete(f"/files/{file['id']}").raise_for_status()
