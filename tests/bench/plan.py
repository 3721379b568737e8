"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Holds the sizes of a run; every round measures the rival, then Jobyard."""

    starts: int = 5
    storm_rounds: int = 5
    storm_seconds: float = 0.8
    concurrencies: tuple[int, ...] = (1, 16, 64)
    latency_rounds: int = 3
    waited_jobs: int = 60
    polled_jobs: int = 20
    backlog_rounds: int = 3
    backlog_jobs: int = 1000
    trickle_rounds: int = 2
    trickle_jobs: int = 100
    trickle_per_second: int = 25
    idle_seconds: float = 4.0
    finished_jobs: int = 100
    worker_concurrency: int = 2
    drain_rounds: int = 3
    drain_jobs: int = 3000
    dispatch_rounds: int = 3
    dispatch_jobs: int = 10_000
    waiting_jobs: int = 100_000
    waiting_jobs_of_the_rival: int = 5000
    second_owners: int = 20
    scale_rows: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    scale_owners: tuple[int, ...] = (1, 100, 10_000)
    photo_megapixels: tuple[int, ...] = (12, 24, 48)
    image_rounds: int = 7
    upload_rounds: int = 3
    upload_megabytes: int = 1024
    download_rounds: int = 7
    download_megabytes: int = 256
    expired_files: int = 1_000_000
    expired_blobs: int = 3000
    mail_rounds: int = 3
    mail_messages: int = 2000
    mail_batch: int = 500
    mail_recipients: tuple[int, ...] = (1_000, 10_000)
    stream_waiters: tuple[int, ...] = (1, 200, 1_000)
    stream_rounds: int = 15
    stream_rounds_alone: int = 60
    stream_events: int = 100
    stream_idle: int = 1_000
    stream_job_seconds: float = 5.0


FULL = Plan()
QUICK = Plan(
    starts=2,
    storm_rounds=2,
    storm_seconds=0.4,
    latency_rounds=1,
    waited_jobs=40,
    polled_jobs=10,
    backlog_rounds=1,
    backlog_jobs=500,
    trickle_rounds=1,
    trickle_jobs=50,
    idle_seconds=2.0,
    finished_jobs=50,
    drain_rounds=1,
    drain_jobs=500,
    dispatch_rounds=1,
    dispatch_jobs=2000,
    waiting_jobs=10_000,
    waiting_jobs_of_the_rival=1000,
    second_owners=5,
    scale_rows=(1_000, 100_000),
    scale_owners=(1, 100),
    image_rounds=2,
    upload_rounds=2,
    upload_megabytes=128,
    download_rounds=2,
    expired_files=100_000,
    expired_blobs=2000,
    mail_rounds=1,
    mail_messages=500,
    mail_recipients=(200, 2_000),
    stream_waiters=(1, 200),
    stream_rounds=4,
    stream_rounds_alone=20,
    stream_events=40,
    stream_idle=300,
    stream_job_seconds=2.0,
)
