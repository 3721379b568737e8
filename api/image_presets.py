"""Presets: lists of renditions under names of their owner's."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.pages import Page, PageQuery, make_page, select_page_by_name
from api.resources import Resources
from api.transactions import lock_owner
from shared.errors import JobyardError
from shared.file_models import ImagePreset as PresetRow
from shared.rendition import RenditionInput, Renditions

MOST_PRESETS = 100

PresetName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]

_RENDITIONS: list[Any] = [
    {"width": 1600, "format": "webp"},
    {"width": 200, "height": 200, "fit": "cover", "format": "jpeg", "quality": 80},
]


def _shown() -> JsonDict:
    renditions: list[Any] = [RenditionInput.model_validate(each).model_dump(mode="json") for each in _RENDITIONS]
    return {
        "name": "product-page",
        "renditions": renditions,
        "created_at": "2026-11-24T12:00:00Z",
        "updated_at": "2026-11-24T12:00:00Z",
        "links": {"self": "/v1/image-presets/product-page"},
    }


class ImagePresetNotFound(JobyardError):
    """Is raised for a preset that does not exist or is another owner's."""

    status = 404
    code = "image_preset_not_found"
    title = "Image preset not found"


class TooManyImagePresets(JobyardError):
    """Is raised when an owner has as many presets as there may be."""

    status = 409
    code = "too_many_image_presets"
    title = "Too many image presets"


class ImagePresetBody(BaseModel):
    """Says what a preset makes of a picture."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"renditions": _RENDITIONS}})

    renditions: Renditions


class ImagePresetLinks(BaseModel):
    """Holds the path of a preset."""

    self_: str = Field(alias="self")


class ImagePreset(BaseModel):
    """Is a preset as its owner sees it."""

    model_config = ConfigDict(json_schema_extra={"example": _shown()})

    name: str
    renditions: list[RenditionInput]
    created_at: datetime
    updated_at: datetime = Field(description="When its renditions were replaced; jobs enqueued before keep theirs.")
    links: ImagePresetLinks


async def put_preset(resources: Resources, owner_id: UUID, name: str, renditions: list[RenditionInput]) -> Response:
    """Make a preset (201), or replace its renditions (200); raises `TooManyImagePresets`."""
    values = {"renditions": [each.model_dump(mode="json") for each in renditions]}
    # Not now(): behind the lock the transaction may have begun before the rival whose renditions are replaced.
    replace = update(PresetRow).values(**values, updated_at=func.clock_timestamp()).returning(PresetRow)
    async with resources.sessions.begin() as session:
        await lock_owner(session, owner_id)
        row = await session.scalar(replace.where(PresetRow.owner_id == owner_id, PresetRow.name == name))
        if row is not None:
            return _answer(row, 200)
        if await _count(session, owner_id) >= MOST_PRESETS:
            raise TooManyImagePresets(f"There are {MOST_PRESETS} presets already; delete one first.")
        make = insert(PresetRow).values(owner_id=owner_id, name=name, **values).returning(PresetRow)
        row = (await session.scalars(make)).one()
    return _answer(row, 201)


async def _count(session: AsyncSession, owner_id: UUID) -> int:
    statement = select(func.count()).select_from(PresetRow).where(PresetRow.owner_id == owner_id)
    return (await session.scalars(statement)).one()


def _answer(row: PresetRow, status: int) -> Response:
    preset = preset_of(row)
    headers = {"Location": preset.links.self_} if status == HTTPStatus.CREATED else {}
    return Response(preset.model_dump_json(by_alias=True), status, headers, "application/json")


def preset_of(row: PresetRow) -> ImagePreset:
    """Shape a row for its owner."""
    return ImagePreset(
        name=row.name,
        renditions=[RenditionInput.model_validate(each) for each in row.renditions],
        created_at=row.created_at,
        updated_at=row.updated_at,
        links=ImagePresetLinks.model_validate({"self": f"/v1/image-presets/{row.name}"}),
    )


async def list_presets(resources: Resources, owner_id: UUID, page: PageQuery) -> Page[ImagePreset]:
    """List an owner's presets by name."""
    statement = select_page_by_name(select(PresetRow).where(PresetRow.owner_id == owner_id), page, PresetRow.name)
    async with resources.sessions() as session:
        rows = (await session.scalars(statement)).all()
    return make_page(rows, page, lambda row: (row.name,), preset_of)


async def read_preset(resources: Resources, owner_id: UUID, name: str) -> ImagePreset:
    """Read an owner's preset; raises `ImagePresetNotFound`."""
    async with resources.sessions() as session:
        return preset_of(await find_preset(session, owner_id, name))


async def find_preset(session: AsyncSession, owner_id: UUID, name: str, *, pointer: str | None = None) -> PresetRow:
    """Find an owner's preset in a transaction; raises `ImagePresetNotFound`, which points to who named it."""
    row = await session.get(PresetRow, (owner_id, name))
    if row is None:
        raise ImagePresetNotFound("No such image preset.", pointer=pointer)
    return row


async def delete_preset(resources: Resources, owner_id: UUID, name: str) -> None:
    """Delete an owner's preset; raises `ImagePresetNotFound`. Jobs that were enqueued by it keep its renditions."""
    statement = delete(PresetRow).where(PresetRow.owner_id == owner_id, PresetRow.name == name)
    async with resources.sessions.begin() as session:
        if await session.scalar(statement.returning(PresetRow.name)) is None:
            raise ImagePresetNotFound("No such image preset.")
