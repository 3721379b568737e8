"""`image.resize`: makes up to ten renditions of a stored picture from a single decode."""

import re
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Fail
from shared.models import File
from shared.rendition import Renditions

if TYPE_CHECKING:
    from worker.renditions import ImageFacts, RenderedImage, Rendition

LONGEST_STEM_BYTES = 200


class ImageResizeInput(JobInput):
    """Names a stored picture and the renditions to make of it."""

    file_id: UUID
    renditions: Renditions
    keep_copyright: bool = Field(
        default=False, strict=True, description="Whether to keep author and copyright; no other metadata is kept."
    )

    def file_ids(self) -> list[UUID]:
        """Name the picture."""
        return [self.file_id]


class RenditionError(BaseModel):
    """Tells why a rendition could not be made."""

    code: str = Field(description="A stable word for programs.")
    detail: str


class RenditionResult(BaseModel):
    """Describes a rendition that was stored; or says in `error` why there is none, and all else is null."""

    index: int = Field(description="Its place among the renditions asked for, from 0.")
    file_id: UUID | None
    width: int | None
    height: int | None
    format: str | None
    media_type: str | None
    size: int | None = Field(description="Bytes.")
    link: str | None = Field(description="The path of its content.")
    error: RenditionError | None


class OriginalPicture(BaseModel):
    """Is what the picture was: its size as displayed, its format, the pictures of its animation."""

    width: int
    height: int
    format: str
    frames: int


_MADE: JsonDict = {
    "index": 0,
    "file_id": "0198f2a5-90aa-7d11-8e0f-1b2c3d4e5f60",
    "width": 1600,
    "height": 1067,
    "format": "jpeg",
    "media_type": "image/jpeg",
    "size": 301245,
    "link": "/v1/files/0198f2a5-90aa-7d11-8e0f-1b2c3d4e5f60/content",
    "error": None,
}
_FAILED: JsonDict = {
    **dict.fromkeys(_MADE),
    "index": 1,
    "error": {"code": "rendition_too_large", "detail": "16384 by 8 pixels: a side of a webp has 16383 at most."},
}


class ImageResizeResult(JobResult):
    """Lists the renditions in the order asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "original": {"width": 6000, "height": 4000, "format": "jpeg", "frames": 1},
                "poster": False,
                "partial": True,
                "renditions": [_MADE, _FAILED],
            }
        }
    )

    original: OriginalPicture
    poster: bool = Field(description="Whether the picture is animated: its first frame was used, the poster.")
    partial: bool = Field(description="Whether some renditions could not be made; each says so in its `error`.")
    renditions: list[RenditionResult]


@job("image.resize", queue="images", timeout=timedelta(minutes=10))
def resize_image(job_input: ImageResizeInput, context: JobContext) -> ImageResizeResult:
    """Make renditions of a stored picture that fit in boxes: upright, in sRGB, without metadata."""
    from worker.imaging import inspect_image  # noqa: PLC0415 - the front imports this module, but not Pillow
    from worker.renditions import ImageError, Rendition  # noqa: PLC0415

    file = context.file(job_input.file_id)
    wanted = [
        Rendition(each.width, each.height, None if each.format == "keep" else each.format, each.quality or 85)
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
        original=OriginalPicture(width=facts.width, height=facts.height, format=facts.format, frames=facts.frames),
        poster=facts.frames > 1,
        partial=any(each.error is not None for each in renditions),
        renditions=renditions,
    )


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
        return [
            _describe(index, output.file_id, each)
            for index, (output, each) in enumerate(zip(outputs, rendered, strict=True))
        ]


def _name_of(name: str, facts: "ImageFacts", rendition: "Rendition") -> str:
    stem = re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", name)
    stem = stem.encode()[:LONGEST_STEM_BYTES].decode("utf-8", "ignore")
    width, height = rendition.size_of((facts.width, facts.height))
    image_format = rendition.format_of(facts.format)
    return f"{stem}-{width}x{height}.{'jpg' if image_format == 'jpeg' else image_format}"


def _describe(index: int, file_id: UUID, rendered: "RenderedImage") -> RenditionResult:
    return RenditionResult(
        index=index,
        file_id=file_id,
        width=rendered.width,
        height=rendered.height,
        format=rendered.format,
        media_type=rendered.media_type,
        size=rendered.size,
        link=f"/v1/files/{file_id}/content",
        error=None,
    )
