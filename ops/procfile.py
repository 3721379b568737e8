"""The Procfile: which programs make up Jobyard, and how each is started."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from honcho.environ import parse_procfile


@dataclass(frozen=True)
class Program:
    """One program to run: a shell command that ends in `exec`, and what it needs beyond the common environment."""

    name: str
    command: str
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


class UnknownProgram(LookupError):
    """A name that the Procfile does not have."""


def read_procfile(path: Path) -> list[Program]:
    """Read all programs of a Procfile, in its order."""
    parsed = parse_procfile(path.read_text(encoding="utf-8"))
    commands: dict[str, str] = dict(parsed.processes)
    return [Program(name, command) for name, command in commands.items()]


def choose_programs(
    programs: Collection[Program],
    only: Collection[str] | None = None,
    replicas: Mapping[str, int] | None = None,
) -> list[Program]:
    """Pick programs by name and multiply some: `{"worker": 2}` gives `worker` and `worker.2`. Raises UnknownProgram."""
    replicas = replicas or {}
    names = {program.name for program in programs}
    unknown = ({*only} if only is not None else set[str]()).union(replicas) - names
    if unknown:
        raise UnknownProgram(f"not in the Procfile: {', '.join(sorted(unknown))}")
    chosen: list[Program] = []
    for program in programs:
        if only is None or program.name in only:
            extra = range(2, replicas.get(program.name, 1) + 1)
            chosen += [program, *(replace(program, name=f"{program.name}.{number}") for number in extra)]
    return chosen
