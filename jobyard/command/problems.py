"""Failures as people and programs read them: one line, or a problem document."""

import os
import sys
import traceback
from typing import Any

from jobyard.command.exits import CommandFailed, ExitStatus, status_of
from jobyard.command.screen import Screen
from jobyard.command.text import plain
from jobyard.errors import JobyardError


def report(screen: Screen, error: BaseException) -> ExitStatus:
    """Write a failure to standard error and give its exit status; JOBYARD_DEBUG=1 adds where it happened."""
    if os.environ.get("JOBYARD_DEBUG", "") not in {"", "0"}:
        traceback.print_exception(error, file=sys.stderr)
    status, problem = describe(error)
    if screen.json_wanted:
        screen.error_document(problem)
    else:
        screen.fail(line_of(problem))
    return status


def describe(error: BaseException) -> tuple[ExitStatus, dict[str, Any]]:
    """Give the exit status of a failure and its problem document; `status` is null where the server said nothing."""
    match error:
        case JobyardError():
            problem = _problem(error.title, error.detail, error.code, error.status)
            if error.errors:
                problem["errors"] = [
                    {"pointer": each.pointer, "code": each.code, "detail": each.detail} for each in error.errors
                ]
            return status_of(error), problem
        case CommandFailed():
            return error.status, _problem(error.title, error.detail, error.code)
        case OSError():
            said = error.strerror or str(error)
            detail = f"{os.fsdecode(error.filename)}: {said}" if isinstance(error.filename, str | bytes) else said
            return ExitStatus.FAILED, _problem("Local file", detail, "local_file")
        case ValueError():
            return ExitStatus.USAGE, _problem("Wrong use", str(error), "usage")
        case _:
            return ExitStatus.FAILED, _problem("Unexpected", f"{type(error).__name__}: {error}", "unexpected")


def line_of(problem: dict[str, Any]) -> str:
    """Give a problem as one line: `jobyard: title: detail (code)`, and what is wrong with the input."""
    pairs = ((each["pointer"], each["detail"]) for each in problem.get("errors", ()))
    wrong = "".join(f"; {': '.join(filter(None, pair))}" for pair in pairs)
    return plain(f"jobyard: {problem['title']}: {problem['detail'].rstrip('.')}{wrong} ({problem['code']})")


def _problem(title: str, detail: str, code: str, status: int | None = None) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
