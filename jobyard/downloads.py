"""Downloads: streamed to the disk, continued where the connection broke, and compared with what the server says."""

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from jobyard.contents import Meter
from jobyard.errors import ContentMismatch
from jobyard.exchange import Id, ask_open, get, read_as, segment
from jobyard.flows import Flow, Request, close, read_piece, work
from jobyard.models import File, Progress
from jobyard.retries import AWAY, rest
from jobyard.session import Session

_PARTIAL = 206
_BLOCK_BYTES = 256 * 1024


def download(
    session: Session, file_id: Id, to: str | Path | BinaryIO, on_progress: Callable[[Progress], None] | None
) -> Flow[File]:
    """Write a file's content somewhere, and give what is known of it."""
    file = read_as(File, (yield from get(session, f"/v1/files/{segment(file_id)}")))
    meter = Meter(on_progress, file.size)
    if not isinstance(to, str | Path):
        yield from _copy(session, file, to, meter)
        return file
    path = Path(to)
    if path.is_dir():
        path /= Path(file.name).name or file.id
    part = path.with_name(f".jobyard-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as stream:
            yield from _copy(session, file, stream, meter)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return file


class _Target:
    """Writes blocks of a useful size, counts and hashes; what came before is skipped."""

    def __init__(self, stream: BinaryIO, meter: Meter) -> None:
        self.written = 0
        self._stream = stream
        self._meter = meter
        self._hash = hashlib.sha256()
        self._block = bytearray()

    @property
    def received(self) -> int:
        return self.written + len(self._block)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def take(self, piece: bytes) -> bool:
        """Take a piece in; True when there is enough to be written."""
        self._block += piece
        self._meter.add(len(piece))
        return len(self._block) >= _BLOCK_BYTES

    def write(self) -> None:
        block, self._block = self._block, bytearray()
        self._hash.update(block)
        self._stream.write(block)
        self.written += len(block)


def _copy(session: Session, file: File, stream: BinaryIO, meter: Meter) -> Flow[None]:
    target, failures = _Target(stream, meter), 0
    meter.begin(0)
    meter.add(0)
    while target.received < file.size:
        before = target.received
        try:
            yield from _copy_rest(session, file, target)
        except AWAY as error:
            failures = 0 if target.received > before else failures + 1
            if failures > session.retries:
                raise
            yield from rest(error, failures)
        else:
            break
    yield from work(target.write)
    if (target.written, target.sha256) != (file.size, file.sha256):
        raise ContentMismatch(f"{file.name} came with {target.written} bytes and is not what was stored.")


def _copy_rest(session: Session, file: File, target: _Target) -> Flow[None]:
    start = target.received
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": f'"{file.sha256}"'}
    opened = yield from ask_open(
        session, Request(method="GET", path=f"/v1/files/{segment(file.id)}/content", headers=headers), retries=0
    )
    # Something between may have dropped the Range: then what is here already comes again.
    skip = start if opened.status != _PARTIAL else 0
    while (piece := (yield from read_piece(opened))) is not None:
        fresh = piece[min(skip, len(piece)) :]
        skip -= len(piece) - len(fresh)
        if target.take(fresh):
            yield from work(target.write)
    yield from close(opened)
