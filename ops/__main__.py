"""`python -m ops up|demo|migrate|admin`: the operators' commands behind the make targets."""

import argparse
import os
import sys
from pathlib import Path

from ops.admin import ROLES, UserNotFound, set_role
from ops.checkout_lock import CheckoutBusy
from ops.foreground import run_demo, run_up
from ops.leftovers import LeftoverSurvives
from ops.local_service import ServiceFailed
from ops.migrate import run_migrate
from ops.paths import ROOT, VAR
from ops.ports import NoFreePort
from ops.stack import StackFailed

_FAILURES = (ServiceFailed, StackFailed, CheckoutBusy, LeftoverSurvives, NoFreePort, UserNotFound)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status; a failure is one line, with the end of a log where there is one."""
    options = _parser().parse_args(arguments)
    var: Path = options.var.absolute()
    # Settings read `.env`, and programs their files, from here.
    os.chdir(ROOT)
    try:
        match options.command:
            case "up":
                return run_up(var)
            case "demo":
                return run_demo(var)
            case "migrate":
                return run_migrate(var)
            case _:
                return set_role(options.email, options.role, var)
    except _FAILURES as failure:
        print(f"jobyard: {failure}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops", description="Run Jobyard on this machine.")
    parser.add_argument("--var", type=Path, default=VAR, help="where everything is kept (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="run everything until Ctrl-C")
    commands.add_parser("demo", help="run everything, act as a client, verify, stop")
    commands.add_parser("migrate", help="bring the database to the newest migration")
    admin = commands.add_parser("admin", help="give a registered user a role")
    admin.add_argument("email")
    admin.add_argument("--role", choices=ROLES, default="operator")
    return parser


if __name__ == "__main__":
    sys.exit(main())
