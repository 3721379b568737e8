"""What becomes of connections that their servers close, of servers that die, and of those who do not wait any more."""

import asyncio

import pytest

from shared.settings import Settings
from tests.integration.smtp.conftest import SHORT_SECONDS, address_of, post, post_by_all, with_pool
from tests.integration.smtp.scripted_server import CLOSING, OK, STALL, ScriptedServer
from worker import smtp_connection, smtp_pool
from worker.smtp_connection import MailServerAway
from worker.smtp_pool import SmtpPool


def test_a_connection_closed_while_the_loop_stood_still_is_replaced(settings: Settings, server: ScriptedServer) -> None:
    async def work(pool: SmtpPool) -> None:
        await post_by_all(pool, server, 3, 3)
        # In this thread, so that the loop stands still.
        server.hang_up()
        await post_by_all(pool, server, 3, 3)

    with_pool(settings, work)
    assert len(server.messages) == 6


def test_a_connection_that_says_goodbye_when_asked_is_replaced(
    settings: Settings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_pool, "ASK_AFTER_SECONDS", 0.0)
    server.script["noop"] = [CLOSING, OK]

    async def work(pool: SmtpPool) -> None:
        for _ in range(3):
            await post(pool, server)

    with_pool(settings, work)
    assert [len(talk.messages) for talk in server.talks] == [1, 2]


def test_a_connection_idle_for_too_long_is_not_used(settings: Settings, server: ScriptedServer) -> None:
    async def work(pool: SmtpPool) -> None:
        await post(pool, server)
        await post(pool, server)

    with_pool(settings, work, smtp_idle_seconds=1e-9)
    assert [len(talk.messages) for talk in server.talks] == [1, 1]
    assert server.talks[0].lines[-1] == b"QUIT"


def test_a_server_that_dies_lets_nobody_wait(settings: Settings, server: ScriptedServer) -> None:
    server.most = 3
    taken: list[object] = []
    died = asyncio.Event()

    async def work(pool: SmtpPool) -> None:
        async def lose() -> None:
            async with pool.connection(address_of(server)):
                taken.append(None)
                await died.wait()
                raise MailServerAway("It died.")

        tasks = [asyncio.create_task(lose()) for _ in range(30)]
        await asyncio.to_thread(server.wait, lambda: server.turned_away == 7 and len(server.lines) == 3)
        server.close()
        died.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {MailServerAway, smtp_pool.ServerFull}

    with_pool(settings, work)
    assert len(taken) == 3


def test_one_time_out_of_a_silent_server_speaks_for_all_who_wait(settings: Settings, server: ScriptedServer) -> None:
    server.script["connect"] = [STALL] * 50

    async def work(pool: SmtpPool) -> None:
        outcomes = await asyncio.gather(*(post(pool, server) for _ in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {MailServerAway}

    with_pool(settings, work, smtp_connections=2, smtp_timeout_seconds=SHORT_SECONDS)
    assert len(server.talks) == 2


def test_a_silent_server_holds_no_other_up(settings: Settings, server: ScriptedServer) -> None:
    server.script["dot"] = [STALL] * 10

    async def work(pool: SmtpPool) -> None:
        stalled = [asyncio.create_task(post(pool, server)) for _ in range(10)]
        await asyncio.to_thread(server.wait, lambda: len(server.messages) == 2)
        with ScriptedServer() as fast:
            await post_by_all(pool, fast, 10, 100)
            assert len(fast.messages) == 100
            await pool.close()
        for task in stalled:
            task.cancel()
        outcomes = await asyncio.gather(*stalled, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}

    with_pool(settings, work, smtp_connections=2)


def test_who_waits_no_more_loses_no_place(settings: Settings, server: ScriptedServer) -> None:
    async def work(pool: SmtpPool) -> None:
        async with pool.connection(address_of(server)):
            waiting = [asyncio.create_task(post(pool, server)) for _ in range(6)]
            await asyncio.sleep(0)
            for task in waiting[:3]:
                task.cancel()
        # The one who has just been called goes as well: the next gets what it was called to.
        waiting[3].cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 4 + [type(None)] * 2

    with_pool(settings, work, smtp_connections=1)
    assert len(server.messages) == 2


@pytest.mark.parametrize("step", ["connect", "ehlo", "mail", "data", "dot", "noop", "quit"])
def test_who_is_cancelled_within_a_conversation_loses_no_place(
    settings: Settings, server: ScriptedServer, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_pool, "ASK_AFTER_SECONDS", 0.0)
    server.script[step] = [STALL]

    async def work(pool: SmtpPool) -> None:
        task = asyncio.create_task(post(pool, server, 2))
        await asyncio.to_thread(server.wait, lambda: server.stalled == 1)
        waiting = asyncio.create_task(post(pool, server))
        # wait_for() of Python 3.11 overhears a cancellation that comes together with what it waits for: the connection.
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(waiting)
        with pytest.raises(asyncio.CancelledError):
            await task

    with_pool(settings, work, smtp_connections=1, smtp_messages_per_connection=1 if step == "quit" else 100)
    assert len(server.talks) == 2


def test_close_ends_all_and_waits_for_none_of_the_silent(
    settings: Settings, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_connection, "_QUIT_SECONDS", SHORT_SECONDS)
    server.script["quit"] = [STALL] * 4

    async def work(pool: SmtpPool) -> None:
        await post_by_all(pool, server, 4, 8)

    with_pool(settings, work, smtp_connections=4)
    assert server.stalled == 4
