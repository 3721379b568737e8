"""The frame of a job: what GET answers and what every stream tells, made once per change and process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from shared.job_events import encode_frame
from shared.job_row import JobRow


@dataclass(frozen=True, slots=True)
class Frame:
    """Is a job as one version of its row says, shared by all clients that are told of it.

    `json` is the body that GET answers with; the other fields are what must be known without reading it.
    """

    job_id: UUID
    owner_id: UUID
    version: int
    state: str
    done: bool
    kind: str
    tags: frozenset[str]
    silent: bool
    run_at: datetime
    json: bytes = field(repr=False)
    _written: "dict[Callable[[Frame], bytes], bytes]" = field(
        default_factory=dict["Callable[[Frame], bytes]", bytes], init=False, repr=False, compare=False
    )

    def written(self, form: "Callable[[Frame], bytes]") -> bytes:
        """Give the frame in a form of the wire, made once for all clients that it goes to."""
        written = self._written.get(form)
        if written is None:
            written = self._written[form] = form(self)
        return written


def frame_of(row: JobRow, retention: timedelta) -> Frame:
    """Make the frame of a row."""
    return Frame(
        row.id,
        row.owner_id,
        row.version,
        row.state,
        row.done,
        row.kind,
        frozenset(row.tags),
        row.silent,
        row.run_at,
        # Copied: what the encoder gives keeps ten times the memory that it needs, and frames may wait for long.
        bytes(memoryview(encode_frame(row, retention))),
    )


def frame_of_json(owner_id: UUID, silent: bool, json: bytes) -> Frame:  # noqa: FBT001 - as the message says it
    """Make the frame of a message's JSON; raises `ValueError` where it is none."""
    try:
        job: dict[str, Any] = orjson.loads(json)
        return Frame(
            UUID(job["id"]),
            owner_id,
            int(job["version"]),
            str(job["state"]),
            bool(job["done"]),
            str(job["kind"]),
            frozenset(job["tags"]),
            silent,
            datetime.fromisoformat(job["run_at"]),
            json,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("This is not the frame of a job.") from error
