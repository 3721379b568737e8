"""How the cost of the dispatcher's statements is shown: a table, and the plans in a file."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.ledger_scale import Cost


def print_costs(costs: Sequence[Cost]) -> None:
    """Print a line per statement and size."""
    table = Table(title="The dispatcher's statements with so many jobs waiting (medians; pages of 8 kB)")
    for heading in ("statement", "rows", "owners", "ms", "pages", "rows of jobs read", "read by"):
        table.add_column(heading, justify="left" if heading in {"statement", "read by"} else "right", no_wrap=True)
    for cost in sorted(costs, key=lambda cost: (cost.statement, cost.owners, cost.rows)):
        table.add_row(
            cost.statement,
            f"{cost.rows:,}",
            f"{cost.owners:,}",
            f"{cost.milliseconds:.2f}",
            f"{cost.buffers:,}",
            f"{cost.plan.rows_touched('jobs'):,.0f}",
            ", ".join(sorted(cost.plan.scans("jobs"))),
        )
    Console(width=140, highlight=False).print(table)


def write_plans(costs: Sequence[Cost], path: Path) -> None:
    """Write every plan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for cost in costs:
            print(f"{cost.statement}: {cost.rows:,} rows of {cost.owners:,} owners", file=file)
            print("\n".join(f"  {line}" for line in cost.plan.describe()), file=file, end="\n\n")
