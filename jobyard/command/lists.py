"""Options of lists: how many, or all."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, TypeVar

import typer

T = TypeVar("T")

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
All = Annotated[bool, typer.Option("--all", help="However many there are.")]


def limit_of(limit: int, *, everything: bool) -> int | None:
    """Give how many are wanted; None is all."""
    return None if everything else limit


async def collect(items: AsyncGenerator[T, None]) -> list[T]:
    """Read a list to its end."""
    async with aclosing(items):
        return [item async for item in items]
