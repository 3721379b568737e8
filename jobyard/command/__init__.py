"""The `jobyard` command: what the client can do, from a shell. It needs `typer` and `rich` besides the client."""
