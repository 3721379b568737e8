"""Passwords: Argon2id hashes, made and checked on two threads of their own, never on the event loop."""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from passlib.context import CryptContext

TIME_COST = 2
MEMORY_KIB = 19 * 1024
PARALLELISM = 1

THREADS = 2
"""Bounds the cores and the memory (19 MiB each) that sign-ins can take; whoever comes later waits in line."""

_context = CryptContext(
    ["argon2"],
    argon2__type="ID",
    argon2__rounds=TIME_COST,
    argon2__memory_cost=MEMORY_KIB,
    argon2__parallelism=PARALLELISM,
)

_NOBODY = f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}${'A' * 22}${'A' * 43}"
"""Costs as much to check as a real hash, so that the time taken does not tell which addresses have an account."""


class Passwords:
    """Hashes and checks passwords for one process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")

    async def hash(self, password: str) -> str:
        """Make the hash of a password: all of it counts, NUL included."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _hash, password)

    async def verify(self, password: str, known_hash: str | None) -> bool:
        """Tell whether a password has this hash; takes as long when there is none, or one that cannot be read."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _verify, password, known_hash)

    @staticmethod
    def is_outdated(known_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than today's."""
        return _context.needs_update(known_hash)

    def close(self) -> None:
        """Drop the waiting work; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _hash(password: str) -> str:
    return _context.hash(_normalised(password))


def _verify(password: str, known_hash: str | None) -> bool:
    try:
        return _context.verify(_normalised(password), known_hash or _NOBODY) and known_hash is not None
    except ValueError:
        # Not a hash: what stands in the row of a user that cannot sign in.
        _context.verify(_normalised(password), _NOBODY)
        return False


def _normalised(password: str) -> str:
    # Keyboards differ in how they compose an "é" (RFC 8265, section 4.2.2).
    return unicodedata.normalize("NFC", password)
