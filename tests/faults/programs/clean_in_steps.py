"""Runs the `files.clean` job that its arguments name, but stops where they say until it reads a line.

Arguments: the job's id, its dispatch_seq, and a place: `walking`, or the number of a bulk deletion with `before` or
`amid` it, such as `0-amid`. It says when it is there.
"""

import sys
from collections.abc import Iterator

from shared.job_kind import load_job_kinds
from shared.local_storage import LocalStorage
from shared.settings import Settings
from shared.storage import Blob, Storage
from tests.factories import open_runner
from worker import child

JOB_ID, SEQUENCE, PLACE = sys.argv[1:]


def stop() -> None:
    """Say so, and wait."""
    print("there", flush=True)
    sys.stdin.readline()


class SteppingStorage(LocalStorage):
    """Is the storage, with places to stop at."""

    deletions = 0

    def delete(self, *keys: str) -> None:
        """Delete blobs."""
        number, self.deletions = self.deletions, self.deletions + 1
        if f"{number}-before" == PLACE:
            stop()
        if f"{number}-amid" == PLACE:
            super().delete(*keys[: len(keys) // 2])
            stop()
        super().delete(*keys)

    def blobs(self) -> Iterator[Blob]:
        """Walk over all blobs."""
        for number, blob in enumerate(super().blobs()):
            if number == 1 and PLACE == "walking":
                stop()
            yield blob


def open_storage(settings: Settings) -> Storage:
    """Open it."""
    return SteppingStorage(settings.storage_dir)


child.open_storage = open_storage
# Without a grace, which no installation may have: what is left can be swept at once.
settings = Settings.model_validate({}).model_copy(update={"orphan_grace_minutes": -1})
kinds = load_job_kinds(["worker.jobs"])
with open_runner(settings, kinds) as runner:
    runner.run(kinds["files.clean"], JOB_ID, int(SEQUENCE))
