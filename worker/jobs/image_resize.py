"""`image.resize`: makes up to ten renditions of a stored picture from a single decode."""

import re
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Fail
from shared.models import File

if TYPE_CHECKING:
    from worker.renditions import ImageFacts, RenderedImage, Rendition

LONGEST_SIDE = 16_384
LONGEST_STEM_BYTES = 200


class RenditionInput(BaseModel):
    """Is a bounding box in pixels that the picture shall fit in, never enlarged; one side is enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: int | None = Field(None, ge=1, le=LONGEST_SIDE)
    height: int | None = Field(None, ge=1, le=LONGEST_SIDE)
    format: Literal["keep", "jpeg", "png", "webp"] = Field(
        "keep", description="`keep` is the picture's own; GIF becomes PNG and AVIF WebP."
    )
    quality: int = Field(85, ge=1, le=100, description="Of JPEG and WebP.")

    @model_validator(mode="after")
    def _require_a_side(self) -> Self:
        if self.width is None and self.height is None:
            raise ValueError("a rendition needs a width, a height or both")
        return self


class ImageResizeInput(JobInput):
    """Names a stored picture and the renditions to make of it."""

    file_id: UUID
    renditions: list[RenditionInput] = Field(min_length=1, max_length=10)

    def file_ids(self) -> list[UUID]:
        """Name the picture."""
        return [self.file_id]


class RenditionResult(BaseModel):
    """Describes a rendition that was stored; `size` is in bytes."""

    file_id: UUID
    width: int
    height: int
    format: str
    media_type: str
    size: int


class OriginalSize(BaseModel):
    """Is the size of the picture as displayed."""

    width: int
    height: int


class ImageResizeResult(JobResult):
    """Lists the renditions in the order asked for."""

    renditions: list[RenditionResult]
    original: OriginalSize


@job("image.resize", queue="images", timeout=timedelta(minutes=10))
def resize_image(job_input: ImageResizeInput, context: JobContext) -> ImageResizeResult:
    """Make renditions of a stored picture that fit in boxes: upright, in sRGB, without metadata."""
    from worker.imaging import inspect_image  # noqa: PLC0415 - the front imports this module, but not Pillow
    from worker.renditions import ImageError, Rendition  # noqa: PLC0415

    file = context.file(job_input.file_id)
    wanted = [
        Rendition(each.width, each.height, None if each.format == "keep" else each.format, each.quality)
        for each in job_input.renditions
    ]
    try:
        with context.local_path(file) as path:
            facts = inspect_image(path)
            renditions = _render(context, file, path, facts, wanted)
    except ImageError as error:
        detail = str(error)
        raise Fail(error.code, f"{detail[:1].upper()}{detail[1:]}.") from error
    return ImageResizeResult(
        renditions=renditions, original=OriginalSize(width=facts.width, height=facts.height)
    )  # fmt: skip


def _render(
    context: JobContext, file: File, path: Path, facts: "ImageFacts", wanted: list["Rendition"]
) -> list[RenditionResult]:  # fmt: skip
    from worker.imaging import render  # noqa: PLC0415
    from worker.renditions import MEDIA_TYPES  # noqa: PLC0415

    def report(done: int) -> None:
        context.progress(done, len(wanted), f"{done} of {len(wanted)} renditions")

    context.progress(0, len(wanted))
    with ExitStack() as stack:
        outputs = [
            stack.enter_context(
                context.output(_name_of(file.name, facts, each), MEDIA_TYPES[each.format_of(facts.format)])
            )
            for each in wanted
        ]
        rendered = render(
            path, wanted, [each.stream for each in outputs], report,
            max_pixels=context.settings.max_image_pixels,
        )  # fmt: skip
        return [_describe(output.file_id, each) for output, each in zip(outputs, rendered, strict=True)]


def _name_of(name: str, facts: "ImageFacts", rendition: "Rendition") -> str:
    stem = re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", name)
    stem = stem.encode()[:LONGEST_STEM_BYTES].decode("utf-8", "ignore")
    width, height = rendition.size_of((facts.width, facts.height))
    image_format = rendition.format_of(facts.format)
    return f"{stem}-{width}x{height}.{'jpg' if image_format == 'jpeg' else image_format}"


def _describe(file_id: UUID, rendered: "RenderedImage") -> RenditionResult:
    return RenditionResult(
        file_id=file_id,
        width=rendered.width,
        height=rendered.height,
        format=rendered.format,
        media_type=rendered.media_type,
        size=rendered.size,
    )
