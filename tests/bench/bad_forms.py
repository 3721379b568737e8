"""What multipart parsers say of forms that are not in order, and how long it takes: `python -m tests.bench.bad_forms`.

Each is used as strictly as it allows. All forms have one file of five bytes where they are in order.
"""

import importlib
import time
from typing import Any

from rich.console import Console
from rich.table import Table

_CHUNK_BYTES = 64 * 1024
_LONG = 8 * 2**20
_HEAD = b'--end\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
_REST = _HEAD.removeprefix(b"--end\r\n") + b"hello\r\n--end--\r\n"
_FORMS = {
    "in order": _HEAD + b"hello\r\n--end--\r\n",
    "no closing boundary": _HEAD + b"hello",
    "cut inside the closing boundary": _HEAD + b"hello\r\n--en",
    "lines that end in LF": (_HEAD + b"hello\r\n--end--\r\n").replace(b"\r\n", b"\n"),
    "no Content-Disposition": b"--end\r\nX: y\r\n\r\nhello\r\n--end--\r\n",
    "a header without a colon": b"--end\r\nX\r\n" + _REST,
    "a header of 1 MB": b"--end\r\nX: " + b"y" * 2**20 + b"\r\n" + _REST,
    "a header that never ends": b"--end\r\nX: " + b"y" * _LONG,
    "1,000 headers": b"--end\r\n" + b"X: y\r\n" * 1000 + _REST,
    "8 MB before the first boundary": b"z" * _LONG + b"\r\n" + _HEAD + b"hello\r\n--end--\r\n",
    "8 MB of line ends before it": b"\r\n" * (_LONG // 2) + _HEAD + b"hello\r\n--end--\r\n",
    "8 MB after the last boundary": _HEAD + b"hello\r\n--end--\r\n" + b"z" * _LONG,
    "100,000 parts": b'--end\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 100_000 + b"--end--\r\n",
}


def _python_multipart(chunks: list[bytes]) -> str:
    module = importlib.import_module("python_multipart.multipart")
    sizes: list[int] = []
    ends: list[bool] = []
    callbacks = {
        "on_part_data": lambda _, start, end: sizes.append(end - start),  # pyright: ignore[reportUnknownLambdaType] - its parser's
        "on_end": lambda: ends.append(True),
    }
    parser: Any = module.MultipartParser(b"end", callbacks)
    for chunk in chunks:
        parser.write(chunk)
    return f"{sum(sizes):,} bytes" + ("" if ends else ", and no end")


def _multipart(chunks: list[bytes]) -> str:
    module = importlib.import_module("multipart")
    size = 0
    with module.PushMultipartParser("end", strict=True) as parser:
        for chunk in chunks:
            size += sum(len(event) for event in parser.parse(chunk) if isinstance(event, bytes))
    return f"{size:,} bytes"


def _streaming_form_data(chunks: list[bytes]) -> str:
    module, targets = (importlib.import_module(f"streaming_form_data{each}") for each in ("", ".targets"))
    file: Any = targets.ValueTarget()
    parser: Any = module.StreamingFormDataParser(headers={"Content-Type": "multipart/form-data; boundary=end"})
    parser.register("file", file)
    for chunk in chunks:
        parser.data_received(chunk)
    return f"{len(file.value):,} bytes"


_PARSERS = {
    "python-multipart": _python_multipart,
    "multipart": _multipart,
    "streaming-form-data": _streaming_form_data,
}


def main() -> None:
    """Print a table."""
    table = Table(title="Forms that are not in order")
    for heading in ("the form", *_PARSERS):
        table.add_column(heading, no_wrap=True)
    for parser in _PARSERS:
        # It imports what it needs.
        _answer(parser, [_FORMS["in order"]])
    for name, body in _FORMS.items():
        chunks = [body[start : start + _CHUNK_BYTES] for start in range(0, len(body), _CHUNK_BYTES)]
        table.add_row(name, *(_answer(parser, chunks) for parser in _PARSERS))
    Console(width=120, highlight=False).print(table)


def _answer(parser: str, chunks: list[bytes]) -> str:
    began = time.process_time()
    try:
        said = _PARSERS[parser](chunks)
    except Exception:  # noqa: BLE001 - each parser has errors of its own
        said = "refused"
    busy = (time.process_time() - began) * 1000
    return f"{said}, {busy:.0f} ms" if busy >= 1 else said


if __name__ == "__main__":
    main()
