"""The headers of tus 1.0, the protocol of resumable uploads: what may stand in them."""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Protocol

from api.content_types import ContentTypeNotSupported
from api.descriptions import clean_description
from api.file_names import clean_name
from api.tus_errors import UploadHeaderNotValid

PREFIX = "/v1/uploads"
VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
CHECKSUM_ALGORITHMS = ("sha1", "sha256", "sha512")
BODY_TYPE = "application/offset+octet-stream"
FILE_HEADER = "Jobyard-File"
LONGEST_METADATA = 8 * 1024

EXPOSED_HEADERS = (
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Expires",
    FILE_HEADER,
)
"""What a browser's script may read of an answer."""

_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]+")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Is what a client says of its file; `raw` is the header as it came."""

    raw: str | None = None
    name: str = clean_name(None)
    description: str | None = None


class Hash(Protocol):
    """Is a hash in the making, of whatever algorithm."""

    @property
    def digest_size(self) -> int:
        """How many bytes the digest has."""
        ...

    def update(self, chunk: bytes | bytearray, /) -> None:
        """Take a chunk in."""
        ...

    def digest(self) -> bytes:
        """Give the digest of what came so far."""
        ...


@dataclass(frozen=True, slots=True)
class Checksum:
    """Is what a body's digest must be."""

    algorithm: str
    digest: bytes

    def new_hash(self) -> Hash:
        """Begin a hash; it guards against accidents, not against attackers."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


def read_number(headers: Mapping[str, str], name: str) -> int:
    """Read a header that is a number of bytes; raises `UploadHeaderNotValid`."""
    text = headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise _not_valid(name, "It must be a number of bytes.")
    return int(text)


def read_length(headers: Mapping[str, str]) -> int:
    """Read how long a new upload will be; raises `UploadHeaderNotValid`."""
    for name in ("Upload-Defer-Length", "Upload-Concat"):
        if name in headers:
            raise _not_valid(name, "This extension is not supported.")
    return read_number(headers, "Upload-Length")


def read_metadata(headers: Mapping[str, str]) -> Metadata:
    """Read what a client says of its file; of the keys only `filename` and `description` mean something.

    Raises `UploadHeaderNotValid`.
    """
    raw = headers.get("Upload-Metadata", "").strip()
    if not raw:
        return Metadata()
    if len(raw) > LONGEST_METADATA:
        raise _not_valid("Upload-Metadata", f"Longer than {LONGEST_METADATA} characters.")
    values: dict[str, bytes] = {}
    for pair in raw.split(","):
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in values:
            raise _not_valid("Upload-Metadata", "It must be unique keys, each with a value in base64, and commas.")
        values[key] = _decoded("Upload-Metadata", encoded)
    try:
        name = values["filename"].decode() if "filename" in values else None
        description = clean_description(values.get("description", b"").decode())
    except UnicodeDecodeError:
        raise _not_valid("Upload-Metadata", "The filename and the description must be UTF-8.") from None
    except ValueError as error:
        raise _not_valid("Upload-Metadata", f"The description: {error}") from None
    return Metadata(raw, clean_name(name), description)


def read_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Read what a body's checksum must be; raises `UploadHeaderNotValid`."""
    if "Upload-Checksum" not in headers:
        return None
    algorithm, _, encoded = headers["Upload-Checksum"].partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise _not_valid("Upload-Checksum", f"The algorithm must be one of {', '.join(CHECKSUM_ALGORITHMS)}.")
    checksum = Checksum(algorithm, _decoded("Upload-Checksum", encoded))
    if len(checksum.digest) != checksum.new_hash().digest_size:
        raise _not_valid("Upload-Checksum", f"It must be as long as {algorithm}'s are.")
    return checksum


def require_body_type(declared: str) -> None:
    """Raise `ContentTypeNotSupported` unless a request declares a piece of an upload."""
    if declared != BODY_TYPE:
        raise ContentTypeNotSupported(f"The body must be {BODY_TYPE}.")


def expires(moment: datetime) -> dict[str, str]:
    """Make the header that says when an unfinished upload is given up."""
    return {"Upload-Expires": format_datetime(moment.astimezone(UTC), usegmt=True)}


def _decoded(header: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _not_valid(header, "It has a value that is not base64.") from None


def _not_valid(header: str, detail: str) -> UploadHeaderNotValid:
    return UploadHeaderNotValid(detail, pointer=f"header/{header}")
