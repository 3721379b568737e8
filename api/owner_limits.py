"""What an owner may send and store here, and how much of that is used."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.file_bodies import MOST_BATCH_FILES
from api.quotas import Usage, UserNotFound, read_usage
from api.resources import Resources
from api.retention import SHORTEST_SECONDS
from api.tokens import Unauthorized
from shared.settings import Settings


class UploadLimits(BaseModel):
    """Limits what is uploaded."""

    max_upload_bytes: int = Field(description="Of one file.")
    allowed_media_types: list[str] = Field(
        description="What content may be; a `*` stands for any subtype, but not for those that can carry programs."
    )
    max_batch_files: int = Field(description="In one request to `/v1/files/batch`.")


class PictureLimits(BaseModel):
    """Limits pictures that are resized."""

    max_bytes: int
    max_pixels: int
    max_frames: int = Field(description="Of an animation.")
    max_output_pixels: int = Field(description="Of all renditions of a job together.")


class ArchiveLimits(BaseModel):
    """Limits archives."""

    max_bytes: int = Field(description="Of the files of one archive together.")


class RetentionLimits(BaseModel):
    """Says for how long files are kept, in seconds."""

    upload_seconds: int = Field(description="An upload, unless it is asked for otherwise.")
    output_seconds: int = Field(description="An output of a job, unless it is asked for otherwise.")
    shortest_seconds: int = Field(description="The least that can be asked for.")
    longest_seconds: int = Field(description="The most that can be asked for.")


class Limits(BaseModel):
    """Is what you may send and store, and what you have stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "files": {"max_upload_bytes": 104857600, "allowed_media_types": ["image/*"], "max_batch_files": 10},
                "quota": {"max_bytes": 1073741824, "bytes": 482113, "max_files": None, "files": 1},
                "images": {
                    "max_bytes": 104857600,
                    "max_pixels": 60000000,
                    "max_frames": 1000,
                    "max_output_pixels": 200000000,
                },
                "archives": {"max_bytes": 10737418240},
                "retention": {
                    "upload_seconds": 2592000,
                    "output_seconds": 2592000,
                    "shortest_seconds": 60,
                    "longest_seconds": 31536000,
                },
            }
        }
    )

    files: UploadLimits
    quota: Usage
    images: PictureLimits
    archives: ArchiveLimits
    retention: RetentionLimits


async def read_limits(resources: Resources, owner_id: UUID) -> Limits:
    """Tell an owner's limits and usage; raises `Unauthorized` when their account is gone."""
    settings = resources.settings
    try:
        usage = await read_usage(resources, owner_id)
    except UserNotFound:
        raise Unauthorized("The user of this access token does not exist.") from None
    return Limits(
        files=UploadLimits(
            max_upload_bytes=settings.max_upload_bytes,
            allowed_media_types=settings.allowed_media_types,
            max_batch_files=MOST_BATCH_FILES,
        ),
        quota=usage,
        images=PictureLimits(
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_image_pixels,
            max_frames=settings.max_image_frames,
            max_output_pixels=settings.max_image_output_pixels,
        ),
        archives=ArchiveLimits(max_bytes=settings.max_archive_bytes),
        retention=_retention(settings),
    )


def _retention(settings: Settings) -> RetentionLimits:
    return RetentionLimits(
        upload_seconds=int(settings.upload_retention.total_seconds()),
        output_seconds=int(settings.output_retention.total_seconds()),
        shortest_seconds=SHORTEST_SECONDS,
        longest_seconds=int(settings.longest_retention.total_seconds()),
    )
