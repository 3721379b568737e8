"""How long a soak is and how hard."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Holds the size of a soak; the same seed gives the same orders and the same schedule of faults."""

    jobs: int = 10_000
    seed: int = 1
    clients: int = 4
    jobs_per_second: float = 25.0
    """The pace of the clients; what an outage held up is made up for as fast as it goes."""
    most_under_way: int = 400
    """Clients pause at so many accepted and unfinished jobs, so that faults meet work from first to last."""
    least_pause_seconds: float = 1.0
    most_pause_seconds: float = 5.0
    lease_seconds: float = 5.0
    worker_children: int = 3
    stalled_seconds: float = 180.0
    """Gives up when nothing has finished for so long: far beyond what the back-off of any fault takes."""
