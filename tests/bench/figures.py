"""Figures: what was measured of both, round by round, and their medians."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Figure:
    """Is one line of a table: everybody's median, by name, and what is aimed at."""

    section: str
    name: str
    unit: str
    medians: dict[str, float]
    target: str = ""
    rounds: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def ratio(self, subject: str, rival: str) -> float | None:
        """Give the subject's figure by a rival's; None where one of them has none, and for logarithms."""
        if self.unit == "dB":
            return None
        ours, theirs = self.medians.get(subject), self.medians.get(rival)
        return ours / theirs if ours is not None and theirs else None


@dataclass
class Samples:
    """Collects the rounds of figures, by name and contender."""

    section: str
    _values: dict[str, dict[str, list[float]]] = field(default_factory=dict[str, dict[str, list[float]]])
    _units: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def add(self, contender: str, name: str, value: float, unit: str, target: str = "") -> None:
        """Add the value of a round."""
        self._units[name] = (unit, target)
        self._values.setdefault(name, defaultdict(list))[contender].append(value)

    def declare(self, name: str, unit: str) -> None:
        """Give a figure its place, even when no contender ever adds to it."""
        self._units.setdefault(name, (unit, ""))
        self._values.setdefault(name, defaultdict(list))

    def figures(self) -> list[Figure]:
        """Give the medians, in the order in which the names first came."""
        return [self._figure(name, rounds) for name, rounds in self._values.items()]

    def _figure(self, name: str, rounds: dict[str, list[float]]) -> Figure:
        unit, target = self._units[name]
        medians = {who: median(values) for who, values in rounds.items()}
        return Figure(self.section, name, unit, medians, target, dict(rounds))


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the nearest-rank percentile of values that need not be sorted."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
