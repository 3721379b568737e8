"""Fills a rival's queue through its own client: `python -m tests.bench.fill NAME COUNT [BELL]`."""

import sys
from collections.abc import Iterator

_BATCH = 500


def bells(count: int, bell: str) -> Iterator[str]:
    """Give what each of so many jobs rings: the first and the last ring, if there is a bell."""
    last = count - 1
    return (bell if number in {0, last} else "" for number in range(count))


def fill(name: str, count: int, bell: str) -> None:
    """Enqueue so many no-ops. Only the rival that is filled gets imported."""
    match name:
        case "guide":
            from tests.bench.naive.tasks import noop  # noqa: PLC0415 - one broker's library only

            for each in bells(count, bell):
                noop.delay(each)
        case "dramatiq":
            from tests.bench.rivals.dramatiq_noop import noop  # noqa: PLC0415 - one broker's library only

            for each in bells(count, bell):
                noop.send(each)
        case _:
            from procrastinate.types import JSONDict  # noqa: PLC0415 - one broker's library only

            from tests.bench.rivals.procrastinate_noop import app, noop  # noqa: PLC0415 - one broker's library only

            with app.open():
                waiting: list[JSONDict] = [{"bell": each} for each in bells(count, bell)]
                for start in range(0, count, _BATCH):
                    noop.batch_defer(*waiting[start : start + _BATCH])


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")
