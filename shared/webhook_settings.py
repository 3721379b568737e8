"""The settings of webhooks: where they may go besides the public internet, and whose certificates they trust."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode

from shared.mail_settings import comma_separated


class WebhookSettings(BaseSettings):
    """Is the part of the settings that webhooks alone read."""

    webhook_allowed_networks: Annotated[list[str], NoDecode] = []
    webhook_ca_file: Path | None = None

    _split_networks = field_validator("webhook_allowed_networks", mode="before")(comma_separated)

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _require_networks(cls, value: list[str]) -> list[str]:
        try:
            for network in value:
                ip_network(network)
        except ValueError:
            raise ValueError("must be networks such as 127.0.0.0/8, separated by commas") from None
        return value

    @field_validator("webhook_ca_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    @property
    def webhook_networks(self) -> list[IPv4Network | IPv6Network]:
        """The networks that webhooks may go to although they are not public, by http too."""
        return [ip_network(network) for network in self.webhook_allowed_networks]
