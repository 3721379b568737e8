"""`python -m tests.soak`: run jobs under faults, tell what became of them; exit code 1 when a promise was broken."""

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path

from ops.paths import VAR
from tests.soak.plan import Plan
from tests.soak.report import describe, write
from tests.soak.run import run_soak


def _end(*_: object) -> None:
    sys.exit(143)


def main() -> int:
    """Soak and print the verdict; Ctrl-C and SIGTERM stop everything as well."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=Plan.jobs, help="how many jobs (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=Plan.seed, help="of the orders and the faults (%(default)s)")
    parser.add_argument("--directory", type=Path, default=VAR / "soak", help="emptied first (%(default)s)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"soak {time.monotonic() - began:6.1f} s: {what}", file=sys.stderr, flush=True)

    plan = Plan(jobs=arguments.jobs, seed=arguments.seed)
    try:
        outcome = run_soak(plan, arguments.directory / "run", say)
    except KeyboardInterrupt:
        return 130
    command = shlex.join(["python", "-m", "tests.soak", *sys.argv[1:]])
    print(describe(outcome, command))
    write(outcome, command, arguments.directory / "latest.json")
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
