"""One stack per `var` directory at a time."""

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.1


class CheckoutBusy(RuntimeError):
    """Another `make up` or `make demo` uses the same directory."""


class CheckoutLock:
    """An exclusive lock; the kernel ends it when the last process that holds its descriptor is gone.

    A leash that still stops the programs of a killed parent holds it too: that is waited for.
    """

    def __init__(self, var: Path) -> None:
        self._path = var / "lock"
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        """Take the lock. Raises CheckoutBusy at once while its holder lives."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._try():
            holder = self._holder()
            if holder is not None or time.monotonic() > deadline:
                os.close(self.descriptor)
                who = f"process {holder}" if holder is not None else "what a killed run left behind"
                raise CheckoutBusy(f"Jobyard already runs from {self._path.parent} ({who}); stop it first")
            time.sleep(_POLL_SECONDS)
        os.truncate(self.descriptor, 0)
        os.pwrite(self.descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        with suppress(OSError):
            os.truncate(self.descriptor, 0)
            os.close(self.descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                return False
            raise
        return True

    def _holder(self) -> int | None:
        try:
            pid = int(os.pread(self.descriptor, 32, 0))
        except ValueError:
            return None
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass  # it lives, as another user
        return pid
