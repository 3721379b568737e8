"""The cap holds for whole processes, so each test has one of its own."""

import json
import subprocess
import sys

from ops.paths import ROOT

# An allocation that is never touched, from outside of Python's own arenas, and pixels, which are allocated by Pillow.
ALLOCATE = """
import json, resource, sys
from PIL import Image
from shared.memory_cap import cap_memory

cap_memory(int(sys.argv[1]))
got = {"limit": resource.getrlimit(resource.RLIMIT_DATA)[0]}
for name, allocate in {
    "small": lambda: len(bytearray(50_000_000)),
    "large": lambda: len(bytearray(2_000_000_000)),
    "pixels": lambda: Image.new("L", (40_000, 40_000)).size[0],
}.items():
    try:
        got[name] = allocate()
    except MemoryError:
        got[name] = None
print(json.dumps(got))
"""


def allocate(most_bytes: int) -> dict[str, int | None]:
    ended = subprocess.run(
        [sys.executable, "-c", ALLOCATE, str(most_bytes)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(ended.stdout)


def test_beyond_the_cap_an_allocation_fails_and_the_process_goes_on() -> None:
    got = allocate(1_000_000_000)
    assert got == {"limit": 1_000_000_000, "small": 50_000_000, "large": None, "pixels": None}


def test_zero_is_no_cap() -> None:
    got = allocate(0)
    assert got["limit"] == -1
    assert got["large"] == 2_000_000_000
