"""`make up` and `make demo`: the whole stack in the foreground."""

import sys
import time
from http import HTTPStatus
from importlib import import_module
from pathlib import Path

from ops.api_client import post_json
from ops.endpoints import Endpoints, given_settings
from ops.interrupts import Interrupts
from ops.output import Terminal
from ops.stack import Stack

_INTERRUPTED = 130


def run_up(var: Path) -> int:
    """Start the stack, print where it is, and stop it at the first signal. Raises what `Stack.start` raises."""
    stack = Stack(var, given=given_settings(), output=Terminal(sys.stdout.buffer))
    with Interrupts(stack.stopping.set, stack.kill):
        try:
            endpoints = stack.start()
            _show(endpoints, _make_login(endpoints))
            stack.wait()
            print("stopping; Ctrl-C again kills", flush=True)
        finally:
            stack.stop()
    return 0


def run_demo(var: Path) -> int:
    """Start the stack, run the demonstration against it and stop; returns the demonstration's exit status."""
    demonstrate = import_module("ops.demo").main
    stack = Stack(var, given=given_settings())
    with Interrupts(stack.stopping.set, stack.kill) as interrupts:
        try:
            print("starting PostgreSQL, Redis and the Procfile's programs", flush=True)
            began = time.monotonic()
            endpoints = stack.start()
            print(f"ready after {time.monotonic() - began:.1f} s", flush=True)
            interrupts.raising = True
            return int(demonstrate(endpoints))
        except KeyboardInterrupt:
            return _INTERRUPTED
        finally:
            interrupts.raising = False
            began = time.monotonic()
            stack.stop()
            print(f"stopped in {time.monotonic() - began:.1f} s", flush=True)


def _make_login(endpoints: Endpoints) -> str:
    body = {"email": endpoints.login_email, "password": endpoints.login_password}
    status = post_json(f"{endpoints.api_url}/v1/auth/register", body)
    if status != HTTPStatus.CREATED:
        # An earlier run has registered it; whether the password is still the same shows here.
        status = post_json(f"{endpoints.api_url}/v1/auth/login", body)
    if status in {HTTPStatus.CREATED, HTTPStatus.OK}:
        return f"{endpoints.login_email} / {endpoints.login_password}"
    return f"none: {endpoints.login_email} cannot sign in ({status})"


def _show(endpoints: Endpoints, login: str) -> None:
    rows = {
        "API": endpoints.api_url,
        "documentation": f"{endpoints.api_url}/docs",
        "login": login,
        "Flower": f"{endpoints.flower_url}  ({endpoints.flower_user} / {endpoints.flower_password})",
        "mail": f"{endpoints.mailbox_dir} (Maildir)" if endpoints.mailbox_dir else endpoints.smtp_url,
        "stop": "Ctrl-C",
    }
    lines = [f"  {name:<14} {value}" for name, value in rows.items()]
    print("\n".join(["", "Jobyard is ready", *lines, ""]), flush=True)
