"""The audit: what the ledger and the mailbox say, compared with what the client was promised."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from tests.soak.client import Accepted

_JOBS = """
SELECT id, state, extract(epoch FROM finished_at)::float8, error ->> 'code' FROM jobs
WHERE owner_id = (SELECT id FROM users WHERE email = %s)
"""
_SUCCESSES = "SELECT job_id, count(*) FROM job_attempts WHERE outcome = 'succeeded' GROUP BY job_id"
_SENT = """
SELECT emails.message_id FROM emails JOIN jobs ON jobs.id = emails.job_id WHERE jobs.state = 'succeeded'
"""
# What a result names must be there, or the winner's files were taken for a loser's.
_OUTPUTS_GONE = """
SELECT count(*) FROM jobs CROSS JOIN LATERAL (
    SELECT result ->> 'file_id' AS id WHERE result ? 'file_id'
    UNION ALL
    SELECT rendition ->> 'file_id' FROM jsonb_array_elements(result -> 'renditions') AS rendition
) AS output
WHERE state = 'succeeded' AND NOT EXISTS (SELECT 1 FROM files WHERE files.id = output.id::uuid)
"""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Is the verdict; `latencies` are, by kind, seconds from the first sending of the request to the end of the job."""

    lost: Sequence[UUID]
    doubled: Sequence[UUID]
    uninvited: Sequence[UUID]
    failed: Mapping[str, int]
    outputs_gone: int
    mails_missing: int
    mails_again: int
    latencies: Mapping[str, Sequence[float]]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, done twice, or made without being asked for."""
        return not (self.lost or self.doubled or self.uninvited or self.outputs_gone or self.mails_missing)


def audit(database_url: str, account: str, accepted: Sequence[Accepted], mailbox: Path) -> Audit:
    """Compare. A job that is not there or not at its end is lost; one with more than one success is doubled."""
    with psycopg.connect(database_url) as connection:
        rows = {row[0]: row[1:] for row in connection.execute(_JOBS, (account,))}
        successes = dict(connection.execute(_SUCCESSES).fetchall())
        sent = Counter(row[0].strip("<> ") for row in connection.execute(_SENT))
        gone = _number(connection, _OUTPUTS_GONE)
    delivered = _read_mailbox(mailbox)
    promised = {each.job_id: each for each in accepted}
    ended = {job_id: row for job_id, row in rows.items() if row[1] is not None}
    failed = Counter(
        f"{promised[job_id].kind}: {state} {code or ''}".rstrip()
        for job_id, (state, _, code) in ended.items()
        if job_id in promised and state != "succeeded"
    )
    return Audit(
        lost=[job_id for job_id in promised if job_id not in ended],
        doubled=[job_id for job_id, count in successes.items() if count > 1],
        uninvited=[job_id for job_id in rows if job_id not in promised],
        failed=failed,
        outputs_gone=gone,
        mails_missing=sum(message_id not in delivered for message_id in sent),
        mails_again=sum(count - 1 for count in delivered.values()),
        latencies=_latencies(accepted, {job_id: row[1] for job_id, row in ended.items()}),
    )


def _latencies(accepted: Sequence[Accepted], ends: Mapping[UUID, float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in accepted:
        if each.job_id in ends:
            found.setdefault(each.kind, []).append(ends[each.job_id] - each.sent_at)
    return found


def _number(connection: psycopg.Connection[Any], statement: LiteralString) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row is not None else 0


def _read_mailbox(mailbox: Path) -> Counter[str]:
    parser = BytesHeaderParser()
    found: Counter[str] = Counter()
    for path in (mailbox / "new").iterdir():
        with path.open("rb") as message:
            found[str(parser.parse(message)["Message-ID"]).strip("<> ")] += 1
    return found
