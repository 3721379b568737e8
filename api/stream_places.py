"""Places for streams: how many an owner may have open in one process, SSE and WebSocket together."""

import contextlib
from collections import Counter
from collections.abc import Generator
from uuid import UUID

from shared.errors import JobyardError
from shared.settings import Settings

RETRY_AFTER_SECONDS = "10"


class TooManyStreams(JobyardError):
    """Is raised when an owner has as many streams open as allowed."""

    status = 429
    code = "too_many_streams"
    title = "Too many streams"


class StreamPlaces:
    """Counts the open streams of each owner."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.streams_per_owner
        self._taken: Counter[UUID] = Counter()

    @contextlib.contextmanager
    def hold(self, owner_id: UUID) -> Generator[None]:
        """Take a place for this block; raises `TooManyStreams`."""
        self.take(owner_id)
        try:
            yield
        finally:
            self.give_back(owner_id)

    def take(self, owner_id: UUID) -> None:
        """Take a place until it is given back; raises `TooManyStreams`."""
        if self._taken[owner_id] >= self._most:
            detail = f"You have {self._most} streams open here; close some."
            raise TooManyStreams(detail, headers={"Retry-After": RETRY_AFTER_SECONDS})
        self._taken[owner_id] += 1

    def count(self, owner_id: UUID) -> int:
        """Count an owner's open streams."""
        return self._taken[owner_id]

    def give_back(self, owner_id: UUID) -> None:
        """Give a place back."""
        self._taken[owner_id] -= 1
        if not self._taken[owner_id]:
            del self._taken[owner_id]
