"""Catches the plans that PostgreSQL really used, so that statements are explained as they are, arguments and all."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.errors import Diagnostic

_SETTINGS = {
    "client_min_messages": "notice",
    "auto_explain.log_level": "notice",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
}
_MESSAGE = re.compile(r"duration: (?P<milliseconds>[\d.]+) ms +plan:\s*(?P<plan>\{.*\})", re.DOTALL)

JSON = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """Is the plan of one execution, with what it really did; `root` is as EXPLAIN (FORMAT JSON) gives it."""

    milliseconds: float
    statement: str
    root: JSON

    def nodes(self) -> Iterator[JSON]:
        """Walk over all nodes, those of CTEs and subplans too."""
        yield from _walk(self.root)

    @property
    def buffers(self) -> int:
        """Pages looked at, 8 kB each."""
        return int(self.root.get("Shared Hit Blocks", 0)) + int(self.root.get("Shared Read Blocks", 0))

    def rows_touched(self, table: str) -> float:
        """Count the rows of a table that were read, those that a filter then dropped too."""
        return sum(_rows(node) for node in self.nodes() if node.get("Relation Name") == table and "Scan" in _kind(node))

    def scans(self, table: str) -> set[str]:
        """Name the ways in which a table was read."""
        return {_kind(node) for node in self.nodes() if node.get("Relation Name") == table and "Scan" in _kind(node)}

    def describe(self) -> list[str]:
        """Write the plan as indented lines."""
        return list(_lines(self.root, 0))


class PlanCatcher:
    """Catches the plans of a superuser's connection, into `plans`."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.plans: list[Plan] = []
        connection.execute("LOAD 'auto_explain'")
        for name, value in _SETTINGS.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.add_notice_handler(self._take)

    def _take(self, diagnostic: Diagnostic) -> None:
        match = _MESSAGE.search(diagnostic.message_primary or "")
        if match is not None:
            explained = json.loads(match["plan"])
            self.plans.append(Plan(float(match["milliseconds"]), explained["Query Text"], explained["Plan"]))


def _walk(node: JSON) -> Iterator[JSON]:
    yield node
    for child in node.get("Plans", []):
        yield from _walk(child)


def _kind(node: JSON) -> str:
    return str(node["Node Type"])


def _rows(node: JSON) -> float:
    dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return (node["Actual Rows"] + dropped) * node["Actual Loops"]


def _lines(node: JSON, depth: int) -> Iterator[str]:
    where = " ".join(str(node[name]) for name in ("Index Name", "Relation Name", "CTE Name") if name in node)
    named = f"{node['Subplan Name']}: " if "Subplan Name" in node else ""
    done = f"rows={node['Actual Rows']:g} loops={node['Actual Loops']}"
    dropped = f" dropped={node['Rows Removed by Filter']}" if node.get("Rows Removed by Filter") else ""
    pages = int(node.get("Shared Hit Blocks", 0)) + int(node.get("Shared Read Blocks", 0))
    yield f"{'  ' * depth}{named}{_kind(node)} {where} ({done}{dropped} pages={pages})".replace("  (", " (")
    for child in node.get("Plans", []):
        yield from _lines(child, depth + 1)
