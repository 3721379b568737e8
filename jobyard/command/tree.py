"""The commands by their names; what is not asked for is not imported, so that a command begins soon."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group

_MODULES = {
    "login": "account",
    "logout": "account",
    "whoami": "account",
    "upload": "uploading",
    "resize": "pictures",
    "mail": "mail",
    "archive": "archives",
    "watch": "watching",
    "jobs": "jobs",
    "files": "files",
    "webhooks": "webhooks",
    "completion": "completion",
}
"""Where each is, in the order of the help."""


class _Commands(Mapping[str, Any]):
    """Gives a command, or a group of them, by its name."""

    def __getitem__(self, name: str) -> Any:
        group = _group(_MODULES[name])
        return group if group.name == name else group.commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


class Tree(TyperGroup):
    """Is the group of all commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        commands: Any = _Commands()
        self.commands = commands

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class gives it
        """Give the names, without what they name."""
        return list(self.commands)


@cache
def _group(module: str) -> TyperGroup:
    return get_group(import_module(f"jobyard.command.{module}").app)
