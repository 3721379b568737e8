"""Renditions as clients ask for them: in a job's input, in the body of `/v1/images`, in a preset."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

LONGEST_SIDE = 16_384
MOST_RENDITIONS = 20

Fit = Literal["inside", "cover", "pad", "exact"]
Gravity = Literal[
    "center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest"
]  # fmt: skip
_NEED_BOTH_SIDES = ("cover", "pad", "exact")


class RenditionInput(BaseModel):
    """Is one picture to be made of another: a box in pixels, how to fit it, and how to write it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"width": 800, "format": "webp"}}
    )

    width: int | None = Field(None, ge=1, le=LONGEST_SIDE, strict=True, description="Of the box; one side is enough.")
    height: int | None = Field(None, ge=1, le=LONGEST_SIDE, strict=True, description="Of the box.")
    fit: Fit = Field(
        "inside",
        description="`inside` keeps the whole picture within the box; `cover` fills the box and cuts off what lies "
        "outside; `pad` keeps the whole and fills the rest of the box; `exact` stretches. All but `inside` need both "
        "sides.",
    )
    gravity: Gravity = Field("center", description="What `cover` keeps, and where `pad` puts the picture.")
    format: Literal["keep", "jpeg", "png", "webp", "avif"] = Field(
        "keep", description="`keep` is the picture's own; GIF becomes PNG, HEIC JPEG."
    )
    quality: int | None = Field(
        None, ge=1, le=100, strict=True, description="Of JPEG, WebP and AVIF; null is the format's default."
    )
    progressive: bool = Field(default=False, strict=True, description="Of JPEG: it shows coarse at first, then finer.")
    background: str = Field(
        "#ffffff",
        pattern="^#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?$",
        description="What `pad` fills with, and what transparency is laid on for JPEG: `#rrggbb` or `#rrggbbaa`.",
    )
    enlarge: bool = Field(
        default=False,
        strict=True,
        description="Whether the picture may be enlarged. If not, a box that is too large gives the picture's own size "
        "(`pad` fills the rest all the same); for `cover` and `exact`, the largest of the box's proportions.",
    )

    @field_validator("fit")
    @classmethod
    def _require_both_sides(cls, fit: Fit, info: ValidationInfo) -> Fit:
        # A side that is wrong is not among the data, and complained about already.
        if fit in _NEED_BOTH_SIDES and None in (info.data.get("width", 0), info.data.get("height", 0)):
            raise PydanticCustomError("side_missing", "{fit} needs a width and a height", {"fit": fit})
        return fit

    @model_validator(mode="after")
    def _require_a_side(self) -> Self:
        if self.width is None and self.height is None:
            raise PydanticCustomError("side_missing", "A rendition needs a width, a height or both")
        return self


Renditions = Annotated[list[RenditionInput], Field(min_length=1, max_length=MOST_RENDITIONS)]
"""What can be made of a picture at once."""
