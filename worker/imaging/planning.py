"""What the renditions of one picture become, and in which order they are made."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from worker.rendition_layout import Layout
from worker.renditions import ImageFacts, ImageFormat, ImageLimits, Rendition, RenditionFailure, RenditionTooLarge

_LONGEST_SIDE: Mapping[ImageFormat, int] = MappingProxyType(
    {"jpeg": 65_500, "png": 2**31 - 1, "webp": 16_383, "avif": 65_535}
)
_EXACTING_QUALITY = 90


@dataclass(frozen=True, slots=True)
class PlannedRendition:
    """Is what one rendition becomes for one picture; `index` is its place among those asked for."""

    index: int
    rendition: Rendition
    layout: Layout
    format: ImageFormat
    quality: int

    @property
    def is_exacting(self) -> bool:
        """Whether more of the original has to be decoded for it."""
        return (self.rendition.quality or 0) >= _EXACTING_QUALITY


@dataclass(frozen=True, slots=True)
class Plan:
    """Is what can be made, the largest first, and what cannot, by its place among those asked for."""

    planned: list[PlannedRendition]
    failures: dict[int, RenditionFailure]

    def layouts(self) -> list[tuple[Layout, bool]]:
        """Give the layouts, each with whether it is exacting: a single one is."""
        is_single = len({each.layout.content for each in self.planned}) == 1
        return [(each.layout, is_single or each.is_exacting) for each in self.planned]


def plan(renditions: Sequence[Rendition], facts: ImageFacts, limits: ImageLimits) -> Plan:
    """Work out what each rendition becomes.

    Those fail that are too large for their format, or for what those before them leave of `output_pixels`.
    """
    planned: list[PlannedRendition] = []
    failures: dict[int, RenditionFailure] = {}
    left = limits.output_pixels
    for index, rendition in enumerate(renditions):
        layout = rendition.layout_of((facts.width, facts.height))
        image_format = rendition.format_of(facts.format)
        each = PlannedRendition(index, rendition, layout, image_format, rendition.quality_in(image_format))
        if (detail := _excess(each, left)) is None:
            planned.append(each)
            left -= math.prod(layout.canvas)
        else:
            failures[index] = RenditionFailure(RenditionTooLarge.code, detail)
    return Plan(sorted(planned, key=_by_size, reverse=True), failures)


def _excess(planned: PlannedRendition, left: int) -> str | None:
    (width, height), limit = planned.layout.canvas, _LONGEST_SIDE[planned.format]
    if max(width, height) > limit:
        return f"{width} by {height} pixels: a side of a {planned.format} has {limit} at most"
    if width * height > left:
        return f"{width} by {height} pixels: {left:,} are left of those that one job may make"
    return None


def _by_size(planned: PlannedRendition) -> tuple[object, ...]:
    # By all that decides about pixels, and not by the index: the order asked for must not show in the results.
    layout = planned.layout
    return math.prod(layout.content), layout.content, layout.region
