import asyncio

import pytest

from api.turns import Turns
from shared.ids import new_id


def test_one_at_a_time_and_so_many_in_all_and_nobody_waits_for_ever() -> None:
    async def take_all() -> None:
        turns = Turns(2)
        first, second, third = new_id(), new_id(), new_id()
        async with turns.take(first, 1), turns.take(second, 1):
            with pytest.raises(TimeoutError):
                async with turns.take(first, 0.01):
                    pytest.fail("another has this turn")
            with pytest.raises(TimeoutError):
                async with turns.take(third, 0.01):
                    pytest.fail("all places are taken")
        # What was not had holds nothing.
        async with turns.take(third, 1), turns.take(first, 1):
            pass

    asyncio.run(take_all())
