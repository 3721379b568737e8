"""Limits on how fast mail goes to a server or a domain, kept across all workers in the rows of `mail_rates`.

A message takes the next free moment of each limit that it falls under, all or none (the "virtual scheduling" form of
the generic cell rate algorithm, ITU-T I.371): so many per second, evenly spaced, whoever sends them. What waits for a
slow domain goes later than at the moment that it took of its server, so that others need not wait with it; a server may
see up to `PATIENCE_SECONDS` worth of such messages at once.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.job_context import JobContext
from shared.mail_settings import EVERY_DOMAIN, SmtpServer
from shared.settings import Settings

PATIENCE_SECONDS = 2.0
"""How long a message that has its moment may wait for it; what would wait longer takes none."""

_SERVER = "server "

_KNOW = text("INSERT INTO mail_rates (name) SELECT unnest(CAST(:names AS text[])) ORDER BY 1 ON CONFLICT DO NOTHING")
_LOCK = text("""
SELECT name, extract(epoch FROM greatest(next_at, clock_timestamp()) - clock_timestamp())::float8
FROM mail_rates WHERE name = ANY(:names) ORDER BY name FOR UPDATE
""")
_TAKE = text("""
UPDATE mail_rates SET next_at = clock_timestamp() + make_interval(secs => seconds)
FROM unnest(CAST(:names AS text[]), CAST(:seconds AS float8[])) AS taken (taken_name, seconds) WHERE name = taken_name
""")


class MailRates:
    """Says when a message may go; for one run of a job."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._known: set[str] = set()
        self._full_until: dict[str, float] = {}
        self._free_at: float | None = None

    @property
    def free_in(self) -> float | None:
        """In how many seconds it makes sense to ask again for a message that was turned down; None without one."""
        return None if self._free_at is None else max(0.0, self._free_at - time.monotonic())

    async def take(self, server: SmtpServer, domains: Iterable[str]) -> bool:
        """Wait for a message's moment; False when that is too far off."""
        limits = _limits(self._context.settings, server, domains)
        if not limits:
            return True
        now = time.monotonic()
        wait = max(self._full_until.get(name, now) - now for name in limits)
        if wait <= PATIENCE_SECONDS:
            wait = await asyncio.to_thread(self._take, limits)
        if wait > PATIENCE_SECONDS:
            free_at = time.monotonic() + wait - PATIENCE_SECONDS
            self._free_at = free_at if self._free_at is None else min(self._free_at, free_at)
            return False
        await asyncio.sleep(wait)
        return True

    def _take(self, limits: dict[str, float]) -> float:
        names = sorted(limits)
        with self._context.session() as session:
            self._know(session, limits)
            waits = {row[0]: float(row[1]) for row in session.execute(_LOCK, {"names": names})}
            wait = max(waits.values())
            if wait <= PATIENCE_SECONDS:
                # A domain counts from when the message goes.
                seconds = [(waits[name] if name.startswith(_SERVER) else wait) + limits[name] for name in names]
                session.execute(_TAKE, {"names": names, "seconds": seconds})
        # Others of this run need not ask for what they cannot have.
        self._full_until |= {name: time.monotonic() + each for name, each in waits.items() if each > PATIENCE_SECONDS}
        return wait

    def _know(self, session: Session, limits: dict[str, float]) -> None:
        if unknown := sorted(set(limits) - self._known):
            session.execute(_KNOW, {"names": unknown})
            self._known |= set(unknown)


def _limits(settings: Settings, server: SmtpServer, domains: Iterable[str]) -> dict[str, float]:
    """Name the limits that a message falls under, each with the seconds between two messages."""
    limits: dict[str, float] = {}
    if settings.smtp_rate:
        limits[f"{_SERVER}{server.name}"] = 1 / settings.smtp_rate
    rates = settings.domain_rates
    for domain in domains:
        rate: Any = rates.get(domain, rates.get(EVERY_DOMAIN))
        if rate:
            limits[f"domain {domain}"] = 1 / rate
    return limits
