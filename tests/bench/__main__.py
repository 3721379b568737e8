"""`python -m tests.bench`: measure Jobyard and its rivals in one run, print tables, stop everything."""

import argparse
import shlex
import signal
import sys
import time

from ops.paths import VAR
from tests.bench.parts import PARTS
from tests.bench.plan import FULL, QUICK
from tests.bench.report import Part, print_part, write_report

RUN_DIRECTORY = VAR / "bench" / "run"
REPORT = VAR / "bench" / "latest.json"


def _end(*_: object) -> None:
    sys.exit(143)


def main() -> None:
    """Measure, print and write; Ctrl-C and SIGTERM stop everything as well."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"some of: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, a few minutes")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    plan = QUICK if arguments.quick else FULL
    command = shlex.join(["python", "-m", "tests.bench", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, _end)
    started = time.monotonic()
    parts: list[Part] = []
    try:
        for name in arguments.parts or PARTS:
            part = PARTS[name](RUN_DIRECTORY / name, plan)
            print_part(part)
            parts.append(part)
    except KeyboardInterrupt:
        sys.exit(130)
    seconds = time.monotonic() - started
    print(f"{command}  ({seconds:.0f} s; single rounds are in {REPORT})")
    write_report(REPORT, parts, command, seconds)


if __name__ == "__main__":
    main()
