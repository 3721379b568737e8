"""What the harness asks of the load generator and what it gets back: one JSON line each way."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Storm:
    """Sends requests as fast as answers come, on some connections, for a time or up to a number of requests."""

    port: int
    requests: list[str]
    concurrency: int
    expected_status: int
    seconds: float | None = None
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trickle:
    """Sends requests at a steady pace, whatever the answers take."""

    port: int
    request: str
    count: int
    per_second: float
    expected_status: int


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Says how a contender speaks of jobs."""

    id_field: str
    state_field: str
    succeeded: str
    unfinished: list[str]
    status_path: str


@dataclass(frozen=True, kw_only=True)
class Submissions:
    """Submits jobs one after another and sees each through to its end.

    With `poll_seconds` None the answers themselves are waited for (`Prefer: wait`), else status is asked at this pause.
    """

    port: int
    submit: str
    status_headers: dict[str, str]
    dialect: Dialect
    count: int
    gap_seconds: float
    poll_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Waits for a job's end, in so many connections of one way (`tests.bench.stream_ways.WAYS`)."""

    port: int
    way: str
    count: int
    job_id: str
    headers: dict[str, str]


Order = Storm | Trickle | Submissions


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Is what an order gave; times in milliseconds, `generator_share` is the generator's own CPU per second."""

    elapsed_seconds: float
    generator_share: float
    latencies: list[float] = field(default_factory=list[float])
    job_ids: list[str] = field(default_factory=list[str])
    error: str | None = None
