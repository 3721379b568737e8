"""The settings of streams: how often they say that they live, how many there may be, how long a reader may rest."""

from pydantic import Field
from pydantic_settings import BaseSettings


class StreamSettings(BaseSettings):
    """Is the part of the settings that streams of events alone read."""

    stream_heartbeat_seconds: float = Field(15.0, ge=0.1, le=3600)
    stream_stall_seconds: float = Field(30.0, ge=0.1, le=3600)
    streams_per_owner: int = Field(2000, ge=1)
