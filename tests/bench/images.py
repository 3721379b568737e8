"""Three renditions of a photograph: the guide's way, libvips, and ours."""

import json
import subprocess
import sys
from pathlib import Path

from ops.paths import ROOT
from tests.bench.beside_guide import say
from tests.bench.figures import Figure, Samples
from tests.bench.photos import photo
from tests.bench.plan import Plan
from tests.bench.programs import inherited_environment
from tests.bench.quality import Reference, float_channels
from tests.bench.report import Part

WIDTHS = (1600, 800, 200)
_RIVALS = ("guide", "libvips")
_SUBJECT = "jobyard"
_QUALITY = 85
_CPU_TARGETS = {12: "≤ 0.25, ≤ 1.35", 24: "≤ 0.22, ≤ 1.35", 48: "≤ 0.15, ≤ 1.35"}


def measure_images(directory: Path, plan: Plan) -> Part:
    """Make the renditions of each photograph in each way, by turns, each time in a new process."""
    directory.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for megapixels in plan.photo_megapixels:
        say(f"images: {megapixels} megapixels")
        figures += _measure(directory, megapixels, plan.image_rounds)
    notes = [
        "libvips: thumbnail() of the file, which shrinks on load; smaller sizes from the larger one in memory",
        "dB: PSNR of the rendition less that of a float Lanczos reference which went through the same encoder",
    ]
    title = f"Three JPEG renditions ({', '.join(map(str, WIDTHS))} wide) of one photograph (medians)"
    return Part(title=title, figures=figures, rivals=_RIVALS, notes=notes)


def _measure(directory: Path, megapixels: int, rounds: int) -> list[Figure]:
    source = photo(megapixels)
    samples = Samples(f"{megapixels} MP")
    for _ in range(rounds):
        for way in (*_RIVALS, _SUBJECT):
            cpu_seconds, grown = _render(way, source, _targets(directory, way))
            samples.add(way, "CPU", cpu_seconds * 1000, "ms", f"target {_CPU_TARGETS[megapixels]}")
            if grown is not None:
                samples.add(way, "memory, at most beyond its start", grown, "MB")
    channels = float_channels(source)
    for index, width in enumerate(WIDTHS):
        reference = Reference(channels, width, _QUALITY)
        for way in (*_RIVALS, _SUBJECT):
            loss = reference.loss(_targets(directory, way)[index])
            samples.add(way, f"{width} wide, by the reference", loss, "dB", "target ≥ -0.15")
    return samples.figures()


def _targets(directory: Path, way: str) -> list[Path]:
    return [directory / f"{way}-{width}.jpg" for width in WIDTHS]


def _render(way: str, source: Path, targets: list[Path]) -> tuple[float, float | None]:
    pairs = [part for target, width in zip(targets, WIDTHS, strict=True) for part in (str(target), str(width))]
    command = [sys.executable, "-m", "tests.bench.render_once", way, str(source), *pairs]
    environment = inherited_environment()
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    cpu_seconds, grown = json.loads(ended.stdout)
    return cpu_seconds, grown
