"""How far a process's resident memory grew at most."""

import re
import sys
from contextlib import suppress
from pathlib import Path

_MEGABYTE = 1024
_RESET_THE_PEAK = "5"


class PeakMemory:
    """Watches the resident memory of a process from here on; only Linux tells the peak of another process."""

    def __init__(self, pid: int) -> None:
        self._directory = Path(f"/proc/{pid}")
        if sys.platform == "linux":
            # Where this is forbidden the peak may be an older one, and the growth too large, never too small.
            with suppress(OSError):
                (self._directory / "clear_refs").write_text(_RESET_THE_PEAK)
            self._before = self._kilobytes("VmRSS")

    def growth(self) -> float | None:
        """Tell how many megabytes the peak lies above the start; None where nobody knows."""
        if sys.platform != "linux":
            return None
        return (self._kilobytes("VmHWM") - self._before) / _MEGABYTE

    def _kilobytes(self, name: str) -> int:
        match = re.search(rf"^{name}:\s+(\d+) kB", (self._directory / "status").read_text(), re.MULTILINE)
        if match is None:
            raise RuntimeError(f"{self._directory / 'status'} has no {name}")
        return int(match[1])
