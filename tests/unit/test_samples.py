import pytest

from tests.unit.imaging_pictures import SAMPLES, rendered
from worker.imaging import inspect_image
from worker.renditions import ImageFacts, RenderedImage, Rendition

SAMPLE_FACTS = [
    ("deep-field.jpg", ImageFacts(1000, 872, "jpeg", "image/jpeg", "RGB", 1, has_alpha=False, frames=1, taken_at=None)),
    ("photographer.png", ImageFacts(512, 512, "png", "image/png", "L", 1, has_alpha=False, frames=1, taken_at=None)),
    (
        "coffee-cut-out.png",
        ImageFacts(404, 372, "png", "image/png", "RGBA", 1, has_alpha=True, frames=1, taken_at=None),
    ),
    (
        "cat-on-its-side.jpg",
        ImageFacts(451, 300, "jpeg", "image/jpeg", "RGB", 6, has_alpha=False, frames=1, taken_at="2011-09-11T15:30:00"),
    ),
]


@pytest.mark.parametrize(("name", "facts"), SAMPLE_FACTS)
def test_the_samples_are_what_they_are_said_to_be(name: str, facts: ImageFacts) -> None:
    assert inspect_image(SAMPLES / name) == facts
    (written, image, content), *_ = rendered(SAMPLES / name, Rendition(200, None))
    height = round(200 * facts.height / facts.width)
    assert written == RenderedImage(200, height, written.format, facts.media_type, len(content))
    assert written.format == facts.format
    assert image.mode == facts.mode


def test_the_samples_are_small_and_each_has_its_source() -> None:
    names = {path.name for path in SAMPLES.iterdir()} - {"SOURCES.md"}
    assert names == {name for name, _ in SAMPLE_FACTS}
    assert sum((SAMPLES / name).stat().st_size for name in names) < 2_000_000
    sources = (SAMPLES / "SOURCES.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in sources for name in names)
