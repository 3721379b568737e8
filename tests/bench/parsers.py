"""Multipart parsers by themselves, on one body in pieces as they come from a socket: `python -m tests.bench.parsers`.

Each runs in a new process, by turns, and does nothing with the file but count its bytes. The contents are noise, text
with short lines, and two that make looking for a boundary hard: line ends, and boundaries that lack their last letter.
"""

import argparse
import importlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from ops.paths import ROOT
from tests.bench.figures import Samples
from tests.bench.memory import PeakMemory
from tests.bench.programs import inherited_environment
from tests.bench.report import Part, print_part

_BOUNDARY = "the-end-of-a-part-of-the-benchmark"
_HEAD = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="scan.pdf"\r\n\r\n'.encode()
_TAIL = f"\r\n--{_BOUNDARY}--\r\n".encode()
_CHUNK_BYTES = 64 * 1024
_ROUNDS = 5
_SEED = 4
_SUBJECT = "python-multipart"

Parse = Callable[[Iterator[bytes]], int]


def _python_multipart(chunks: Iterator[bytes]) -> int:
    module = importlib.import_module("python_multipart.multipart")
    size = 0

    def add(chunk: bytes, start: int, end: int) -> None:
        nonlocal size
        # As api/multipart.py does.
        size += len(chunk[start:end])

    parser: Any = module.MultipartParser(_BOUNDARY.encode(), {"on_part_data": add})
    for chunk in chunks:
        parser.write(chunk)
    parser.finalize()
    return size


def _multipart(chunks: Iterator[bytes]) -> int:
    module = importlib.import_module("multipart")
    parser: Any = module.PushMultipartParser(_BOUNDARY)
    size = 0
    for chunk in chunks:
        for event in parser.parse(chunk):
            if isinstance(event, (bytes, bytearray)):
                size += len(event)
    return size


def _streaming_form_data(chunks: Iterator[bytes]) -> int:
    module, targets = (importlib.import_module(f"streaming_form_data{each}") for each in ("", ".targets"))
    size = 0

    class Counter(targets.BaseTarget):
        def on_data_received(self, chunk: bytes) -> None:
            nonlocal size
            size += len(chunk)

    content_type = f"multipart/form-data; boundary={_BOUNDARY}"
    parser: Any = module.StreamingFormDataParser(headers={"Content-Type": content_type})
    parser.register("file", Counter())
    for chunk in chunks:
        parser.data_received(chunk)
    return size


PARSERS: dict[str, Parse] = {
    "python-multipart": _python_multipart,
    "multipart": _multipart,
    "streaming-form-data": _streaming_form_data,
}
_CONTENTS: dict[str, Callable[[], bytes]] = {
    "noise": lambda: random.Random(_SEED).randbytes(_CHUNK_BYTES),  # noqa: S311 - the same noise every time
    "text": lambda: (b"So many lines as there are in a list of orders.\r\n" * _CHUNK_BYTES)[:_CHUNK_BYTES],
    "line ends": lambda: b"\r\n" * (_CHUNK_BYTES // 2),
    "almost boundaries": lambda: (f"\r\n--{_BOUNDARY[:-1]}".encode() * _CHUNK_BYTES)[:_CHUNK_BYTES],
}


def measure(parser: str, content: str, megabytes: int) -> list[float | None]:
    """Parse a body and give the CPU seconds and the growth of memory in MB."""
    block, count = _CONTENTS[content](), megabytes * 2**20 // _CHUNK_BYTES
    parse = PARSERS[parser]
    parse(iter([_HEAD, b"x", _TAIL]))
    memory = PeakMemory(os.getpid())
    began = time.process_time()
    size = parse(_chunks(block, count))
    busy = time.process_time() - began
    if size != count * _CHUNK_BYTES:
        raise ValueError(f"{parser} gave {size} bytes of {count * _CHUNK_BYTES}")
    return [busy, memory.growth()]


def _chunks(block: bytes, count: int) -> Iterator[bytes]:
    yield _HEAD
    for _ in range(count):
        yield block
    yield _TAIL


def main() -> None:
    """Print a table, or with the name of a parser and a content only their figures."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.parsers", description=__doc__)
    arguments.add_argument("--megabytes", type=int, default=256)
    arguments.add_argument("only", nargs="*", help="one parser and one content, measured in this process")
    given = arguments.parse_args()
    if given.only:
        parser, content = given.only
        print(json.dumps(measure(parser, content, given.megabytes)))
        return
    figures = [figure for content in _CONTENTS for figure in _compare(content, given.megabytes).figures()]
    title = f"Parsing a form with a file of {given.megabytes} MB, in pieces of 64 KB (medians)"
    print_part(Part(title=title, figures=figures, rivals=["multipart", "streaming-form-data"], subject=_SUBJECT))


def _compare(content: str, megabytes: int) -> Samples:
    samples = Samples(content)
    for _ in range(_ROUNDS):
        for parser in PARSERS:
            command = [sys.executable, "-m", "tests.bench.parsers", "--megabytes", str(megabytes), parser, content]
            ended = subprocess.run(
                command, cwd=ROOT, env=inherited_environment(), stdout=subprocess.PIPE, text=True, check=True
            )
            busy, grown = json.loads(ended.stdout)
            samples.add(parser, "CPU", busy, "s")
            if grown is not None:
                samples.add(parser, "memory, at most beyond its start", grown, "MB")
    return samples


if __name__ == "__main__":
    main()
