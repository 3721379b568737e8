"""Names under which downloads are written: the server's words never lead out of the directory that was asked for."""

import errno
import os
import re
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from jobyard.command.exits import CommandFailed

_LONGEST_BYTES = 200
_LONGEST_SUFFIX = 20
_UNWANTED = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')


def safe_name(name: str) -> str:
    """Give a plain file name for what somebody else has named: no path, no controls, not hidden, no option."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join("_" if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else each for each in last)
    clean = _UNWANTED.sub("_", shown).strip(" ")
    if clean[:1] in {".", "-"}:
        clean = "_" + clean[1:]
    return _shorten(clean) or "file"


def _shorten(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        stem, suffix = name, ""
    room = _LONGEST_BYTES - len(os.fsencode(dot + suffix)) if suffix else _LONGEST_BYTES
    return stem.encode()[:room].decode("utf-8", "ignore") + (dot + suffix if suffix else "")


class Outputs:
    """Gives each download of one run its own file; files that were there before are replaced only by `force`."""

    def __init__(self, *, force: bool) -> None:
        self._force = force
        self._given: set[Path] = set()

    @contextmanager
    def place(self, target: Path) -> Generator[Path]:
        """Give the path to write to, which is gone again when that does not go well.

        A rival cannot slip in between: without `force`, the name is taken before anything is written. Two downloads
        of one run with one name are numbered. Raises `CommandFailed` when the file is there.
        """
        target = self._own(target)
        if self._force:
            # The client replaces a file at the end, in one step; of a directory it would make its own name.
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
            yield target
            return
        _reserve(target)
        try:
            yield target
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _own(self, target: Path) -> Path:
        wanted, number = target, 2
        while wanted in self._given:
            wanted = target.with_name(f"{target.stem}-{number}{target.suffix}")
            number += 1
        self._given.add(wanted)
        return wanted


def _reserve(target: Path) -> None:
    try:
        target.open("xb").close()
    except FileExistsError:
        raise CommandFailed(
            "File exists", f"{target} is there already; --force replaces it", code="file_exists"
        ) from None
