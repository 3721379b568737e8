"""The `jobyard` command: what the client can do, from a shell. It needs `typer` and `rich` besides the client."""

from jobyard.command.app import main

__all__ = ["main"]
