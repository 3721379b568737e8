"""Feeds: whatever comes in whatever order, a client sees each job go forward, and its newest frame at last."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given

from api import job_feeds
from api.job_feeds import Feed
from api.job_frames import Frame
from api.watched import Watched
from shared.ids import new_id
from shared.job_state import TERMINAL, JobState

OWNER, STRANGER = new_id(), new_id()
JOBS = [new_id() for _ in range(3)]
NOW = datetime.now(UTC)
STATES = ["queued", "running", "retrying", "queued", "running", "running", "cancelled"]


def frame(
    job_id: UUID, version: int, state: str = "running", *, owner_id: UUID = OWNER, size: int = 2,
    tags: frozenset[str] = frozenset(), kind: str = "test.echo", silent: bool = False,
) -> Frame:  # fmt: skip
    done = JobState(state) in TERMINAL
    return Frame(job_id, owner_id, version, state, done, kind, tags, silent, NOW, b" " * size)


@contextmanager
def open_feed(owner_id: UUID = OWNER) -> Generator[tuple[Watched, Feed]]:
    watched = Watched()
    feed = watched.open(owner_id)
    yield watched, feed
    watched.close(feed)
    assert (watched.jobs, watched.owners) == ({}, {})


Step = tuple[int, int] | None
"""Frame of a job and version; None for: the client takes what waits."""
STEPS = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(0, len(JOBS) - 1), st.integers(1, len(STATES)))), max_size=40
)


@given(steps=STEPS, all_of_them=st.booleans())
def test_versions_rise_and_the_newest_always_comes(steps: list[Step], all_of_them: bool) -> None:  # noqa: FBT001 - Hypothesis names it
    with open_feed() as (watched, feed):
        feed.watch_all() if all_of_them else feed.watch_jobs(JOBS)
        taken: list[Frame] = []
        newest: dict[UUID, int] = {}
        for step in [*steps, None]:
            if step is None:
                taken += feed.take_waiting()
            else:
                job_id, version = JOBS[step[0]], step[1]
                newest[job_id] = max(version, newest.get(job_id, 0))
                watched.deliver_news(frame(job_id, version, STATES[version - 1]))
    for job_id in JOBS:
        versions = [each.version for each in taken if each.job_id == job_id]
        assert versions == sorted(set(versions))
        assert versions[-1:] == ([newest[job_id]] if job_id in newest else [])


def test_what_waits_is_merged_by_state() -> None:
    with open_feed() as (watched, feed):
        feed.watch_jobs(JOBS[:1])
        for version, state in enumerate(STATES, 1):
            watched.deliver_news(frame(JOBS[0], version, state))
        assert [(each.version, each.state) for each in feed.take_waiting()] == [
            (1, "queued"), (2, "running"), (3, "retrying"), (4, "queued"), (6, "running"), (7, "cancelled")
        ]  # fmt: skip


def test_ten_thousand_frames_of_a_job_for_a_client_that_takes_none_are_a_few() -> None:
    with open_feed() as (watched, feed):
        feed.watch_all()
        for version in range(1, 10_001):
            watched.deliver_news(frame(JOBS[0], version, STATES[version % 2]))
        waiting = feed.take_waiting()
        assert len(waiting) == job_feeds.MOST_STATES_WAITING
        assert waiting[-1].version == 10_000


def test_a_client_for_whom_too_much_waits_is_let_go_and_costs_nothing_more() -> None:
    for size, jobs in ((1024 * 1024, 17), (1, job_feeds.MOST_JOBS_WAITING + 1)):
        with open_feed() as (watched, feed):
            feed.watch_all()
            for _ in range(jobs):
                assert feed.reason is None
                watched.deliver_news(frame(new_id(), 1, size=size))
            watched.deliver_news(frame(new_id(), 1))
            assert (feed.reason, asyncio.run(feed.take())) == ("slow", [])


def test_of_jobs_that_have_ended_only_the_last_are_remembered() -> None:
    with open_feed() as (watched, feed):
        feed.watch_all()
        for _ in range(job_feeds.ENDED_REMEMBERED * 2):
            watched.deliver_news(frame(new_id(), 1, "succeeded"))
            feed.take_waiting()
        assert len(vars(Feed)["_newest"].__get__(feed)) == job_feeds.ENDED_REMEMBERED
        for _ in range(2):
            watched.owners[OWNER].end_round()
        assert watched.owners[OWNER].told == {}


def test_a_feed_gives_only_what_it_wants_of_its_owner() -> None:
    a, b, c = JOBS
    with open_feed() as (watched, feed):
        feed.watch_jobs([a])
        feed.watch_tags(["x", "y"])
        for each in (
            frame(a, 1, silent=True),
            frame(b, 1, tags=frozenset({"y", "z"})),
            frame(b, 2, tags=frozenset({"y"}), silent=True),
            frame(c, 1, tags=frozenset({"z"})),
            frame(c, 2, tags=frozenset({"x"}), owner_id=STRANGER),
        ):
            watched.deliver_news(each)
        assert [(each.job_id, each.version) for each in feed.take_waiting()] == [(a, 1), (b, 1)]


def test_who_wants_something_again_is_told_of_it_again() -> None:
    a, b, _ = JOBS
    with open_feed() as (watched, feed):
        for _ in range(2):
            feed.watch_jobs([a])
            feed.watch_tags(["x"])
            feed.put(frame(a, 1))
            feed.put(frame(b, 1, tags=frozenset({"x"})))
            assert [each.job_id for each in feed.take_waiting()] == [a, b]
            watched.deliver_news(frame(a, 2))
            feed.unwatch_jobs([a])
            feed.unwatch_tags(["x"])
            assert feed.take_waiting() == []
            watched.deliver_news(frame(a, 3))
            assert feed.take_waiting() == []


def test_what_one_client_reads_is_news_for_the_others() -> None:
    with open_feed() as (watched, feed):
        feed.watch_jobs(JOBS[:1])
        feed.put(frame(JOBS[0], 1))
        other = watched.open(OWNER)
        other.watch_jobs(JOBS[:1])
        other.put(frame(JOBS[0], 2, "succeeded"))
        assert [each.version for each in feed.take_waiting()] == [1, 2]
        watched.close(other)
