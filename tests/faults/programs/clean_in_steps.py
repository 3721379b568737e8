"""Runs a `files.clean` job, but stops at a place until it is told to go on. It says when it is there.

A place is `walking`, or the number of a bulk deletion with `before` or `amid` it, such as `0-amid`.
"""

from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from shared.job_kind import load_job_kinds
from shared.local_storage import LocalStorage
from shared.settings import Settings
from shared.storage import Blob, Storage
from tests.factories import open_runner
from worker import child

THERE, GO_ON = "there", "go on"


class SteppingStorage(LocalStorage):
    """Is the storage, with places to stop at."""

    def __init__(self, settings: Settings, place: str, test: "Connection[Any, Any]") -> None:
        super().__init__(settings.storage_dir)
        self._place = place
        self._test = test
        self._deletions = 0

    def stop(self) -> None:
        """Say so, and wait."""
        self._test.send(THERE)
        assert self._test.recv() == GO_ON

    def delete(self, *keys: str) -> None:
        """Delete blobs."""
        number, self._deletions = self._deletions, self._deletions + 1
        if f"{number}-before" == self._place:
            self.stop()
        if f"{number}-amid" == self._place:
            super().delete(*keys[: len(keys) // 2])
            self.stop()
        super().delete(*keys)

    def blobs(self) -> Iterator[Blob]:
        """Walk over all blobs."""
        for number, blob in enumerate(super().blobs()):
            if number == 1 and self._place == "walking":
                self.stop()
            yield blob


def clean(job_id: str, sequence: int, place: str, test: "Connection[Any, Any]") -> None:
    """Run the job; this process does nothing else."""

    def open_storage(settings: Settings) -> Storage:
        return SteppingStorage(settings, place, test)

    child.open_storage = open_storage
    # Without a grace, which no installation may have: what is left can be swept at once.
    settings = Settings.model_validate({}).model_copy(update={"orphan_grace_minutes": -1})
    kinds = load_job_kinds(["worker.jobs"])
    with open_runner(settings, kinds) as runner:
        runner.run(kinds["files.clean"], job_id, sequence)
