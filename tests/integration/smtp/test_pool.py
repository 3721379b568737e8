"""Connections that are kept and shared: their number, their age, their waiting line."""

import asyncio

import pytest

from shared.settings import Settings
from tests.integration.smtp.conftest import address_of, post_by_all, send, with_pool
from tests.integration.smtp.scripted_server import CLOSING, ScriptedServer
from worker.smtp_pool import SmtpPool

TASKS, MESSAGES = 10, 100


def test_a_few_connections_carry_many_messages(settings: Settings, server: ScriptedServer) -> None:
    with_pool(settings, lambda pool: post_by_all(pool, server, TASKS, MESSAGES), smtp_connections=4)
    assert len(server.messages) == MESSAGES
    assert server.most_at_once == len(server.talks) == 4
    assert min(len(talk.messages) for talk in server.talks) > 1
    server.wait(lambda: server.now == 0)
    assert all(talk.lines[-1] == b"QUIT" for talk in server.talks)


def test_the_line_is_first_come_first_served(settings: Settings, server: ScriptedServer) -> None:
    turns: list[str] = []

    async def work(pool: SmtpPool) -> None:
        async def take_turns(name: str) -> None:
            for _ in range(3):
                async with pool.connection(address_of(server)):
                    turns.append(name)

        async with asyncio.TaskGroup() as group:
            for name in "ABC":
                group.create_task(take_turns(name))

    with_pool(settings, work, smtp_connections=1)
    assert "".join(turns) == "ABCABCABC"


def test_a_connection_retires_after_its_messages(settings: Settings, server: ScriptedServer) -> None:
    with_pool(
        settings, lambda pool: post_by_all(pool, server, 5, 50), smtp_connections=2, smtp_messages_per_connection=5
    )
    assert sum(len(talk.messages) for talk in server.talks) == 50
    assert max(len(talk.messages) for talk in server.talks) == 5
    assert server.most_at_once == 2


@pytest.mark.parametrize("most", [1, 3])
def test_a_server_that_takes_fewer_gets_all_over_fewer(settings: Settings, server: ScriptedServer, most: int) -> None:
    server.most = most
    with_pool(settings, lambda pool: post_by_all(pool, server, TASKS, MESSAGES), smtp_messages_per_connection=5)
    assert len(server.messages) == MESSAGES
    # Those of the first moment, and hardly any later.
    assert 0 < server.turned_away <= 2 * TASKS


def test_a_server_that_breaks_off_each_time_still_gets_all(settings: Settings, server: ScriptedServer) -> None:
    server.most = 1
    server.script["dot"] = [CLOSING] * 20
    answers: list[str] = []

    async def work(pool: SmtpPool) -> None:
        async def try_once() -> None:
            async with pool.connection(address_of(server)) as connection:
                answers.append((await send(connection))[-1][:3])

        async with asyncio.TaskGroup() as group:
            for _ in range(25):
                group.create_task(try_once())

    with_pool(settings, work)
    assert sorted(answers) == ["250"] * 5 + ["421"] * 20
