"""A stream that counts what passes through it, for encoders that do not tell how much they wrote."""

from io import RawIOBase
from typing import BinaryIO


class CountedStream(RawIOBase):
    """Passes chunks on to a stream that takes them whole; `size` is in bytes. Closing it leaves that one open.

    `failure` is what that stream raised, which an encoder's own error cannot be told from otherwise.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self.size = 0
        self.failure: BaseException | None = None

    def writable(self) -> bool:
        """Tell that this stream is for writing."""
        return True

    def write(self, chunk: "bytes | bytearray | memoryview") -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - bytes alone
        """Pass a chunk on; raises what the stream raises."""
        try:
            written = self._stream.write(chunk)
        except BaseException as failure:
            self.failure = failure
            raise
        self.size += written
        return written
