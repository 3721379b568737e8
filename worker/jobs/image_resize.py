"""`image.resize`: makes renditions of a stored picture from a single decode."""

import re
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from shared.job_context import JobContext, OutputFile
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Fail
from shared.models import File
from shared.rendition import RenditionInput, Renditions
from shared.settings import Settings

if TYPE_CHECKING:
    from worker.renditions import ImageFacts, ImageLimits, RenderedImage, Rendition, RenditionFailure

LONGEST_STEM_BYTES = 200
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic"})


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


@job(
    "image.resize",
    queue="images",
    timeout=timedelta(minutes=2),
    media_types=PICTURES,
    max_file_bytes=lambda settings: settings.max_image_bytes,
)
def resize_image(job_input: ImageResizeInput, context: JobContext) -> ImageResizeResult:
    """Make renditions of a stored picture from a single decode: upright, in sRGB, without metadata."""
    from worker.imaging import inspect_image  # noqa: PLC0415 - the front imports this module, but not Pillow
    from worker.renditions import ImageError  # noqa: PLC0415 - likewise

    file = context.file(job_input.file_id)
    try:
        with context.local_path(file) as path:
            facts = inspect_image(path, _limits(context.settings))
            made = _render(job_input, context, file, path, facts)
    except ImageError as error:
        raise Fail(error.code, _sentence(str(error))) from error
    failed = [each.error for each in made if each.error is not None]
    if len(failed) == len(made):
        raise Fail(failed[0].code, failed[0].detail)
    return ImageResizeResult(
        original=OriginalPicture(width=facts.width, height=facts.height, format=facts.format, frames=facts.frames),
        poster=facts.frames > 1,
        partial=bool(failed),
        renditions=made,
    )


def _render(
    job_input: ImageResizeInput, context: JobContext, file: File, path: Path, facts: "ImageFacts"
) -> list[RenditionResult]:
    from worker.imaging import render  # noqa: PLC0415 - likewise
    from worker.renditions import MEDIA_TYPES  # noqa: PLC0415 - likewise

    wanted = [_wanted(each) for each in job_input.renditions]

    def report(done: int) -> None:
        context.progress(done, len(wanted), f"{done} of {len(wanted)} renditions")

    context.progress(0, len(wanted))
    with ExitStack() as stack:
        scopes = [stack.enter_context(ExitStack()) for _ in wanted]
        outputs = [
            scope.enter_context(
                context.output(_name_of(file.name, facts, each), MEDIA_TYPES[each.format_of(facts.format)])
            )
            for scope, each in zip(scopes, wanted, strict=True)
        ]
        rendered = render(
            path, wanted, [each.stream for each in outputs], report,
            limits=_limits(context.settings), keep_copyright=job_input.keep_copyright,
        )  # fmt: skip
        return [_settle(*each) for each in zip(range(len(wanted)), scopes, outputs, rendered, strict=True)]


def _wanted(asked: RenditionInput) -> "Rendition":
    from worker.renditions import Rendition  # noqa: PLC0415 - likewise

    image_format = None if asked.format == "keep" else asked.format
    return Rendition(**asked.model_dump(exclude={"format"}), format=image_format)


def _limits(settings: Settings) -> "ImageLimits":
    from worker.renditions import ImageLimits  # noqa: PLC0415 - likewise

    return ImageLimits(
        pixels=settings.max_image_pixels,
        frames=settings.max_image_frames,
        scans=settings.max_image_scans,
        metadata_bytes=settings.max_image_metadata_bytes,
        output_pixels=settings.max_image_output_pixels,
        bytes=settings.max_image_bytes,
    )


def _name_of(name: str, facts: "ImageFacts", rendition: "Rendition") -> str:
    stem = re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", name)
    stem = stem.encode()[:LONGEST_STEM_BYTES].decode("utf-8", "ignore")
    width, height = rendition.size_of((facts.width, facts.height))
    image_format = rendition.format_of(facts.format)
    return f"{stem}-{width}x{height}.{'jpg' if image_format == 'jpeg' else image_format}"


def _settle(
    index: int, scope: ExitStack, output: OutputFile, rendered: "RenderedImage | RenditionFailure"
) -> RenditionResult:
    from worker.renditions import RenditionFailure  # noqa: PLC0415 - likewise

    if isinstance(rendered, RenditionFailure):
        # An output that is left by an error is dropped.
        with suppress(_NothingMade), scope:
            raise _NothingMade
        error = RenditionError(code=rendered.code, detail=_sentence(rendered.detail))
        nothing = dict.fromkeys(RenditionResult.model_fields)
        return RenditionResult.model_validate({**nothing, "index": index, "error": error})
    return RenditionResult(
        index=index,
        file_id=output.file_id,
        width=rendered.width,
        height=rendered.height,
        format=rendered.format,
        media_type=rendered.media_type,
        size=rendered.size,
        link=f"/v1/files/{output.file_id}/content",
        error=None,
    )


class _NothingMade(Exception):
    """Leaves an output of which nothing is to be kept."""


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
