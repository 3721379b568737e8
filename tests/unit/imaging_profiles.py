"""ICC profiles written by hand, with what they say known exactly."""

import struct

from tests.unit.imaging_pictures import Colour

D50 = (0.9642, 1.0, 0.8249)
ADOBE_RGB = {b"r": (0.60974, 0.31111, 0.01947), b"g": (0.20528, 0.62567, 0.06087), b"b": (0.14919, 0.06322, 0.74457)}


def adobe_rgb_profile() -> bytes:
    """Make the wide-gamut profile that many cameras offer: its primaries and a gamma of 563/256."""
    tags = {letter + b"XYZ": _xyz(primary) for letter, primary in ADOBE_RGB.items()}
    tags |= {letter + b"TRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) for letter in ADOBE_RGB}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags)


def from_adobe_rgb(colour: Colour) -> Colour:
    """Work out what an Adobe RGB colour is in sRGB, from the two standards' formulas."""
    red, green, blue = ((channel / 255) ** (563 / 256) for channel in colour)
    linear = (1.39836 * red - 0.39836 * green, green, -0.04293 * green + 1.04293 * blue)
    curved = [12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055 for each in linear]
    return tuple(round(255 * min(1, max(0, each))) for each in curved)


def grey_profile() -> bytes:
    """Make a profile of linear greys: 55 is what sRGB calls 128."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, 256)})


def cmyk_profile() -> bytes:
    """Make a profile whose inks are not what they are called: any ink is a middle grey (119 in sRGB)."""
    grid = b"".join(b"\xff\x80\x80" if node == 0 else b"\x80\x80\x80" for node in range(16))
    identity = struct.pack(">9i", *(65536 if each % 4 == 0 else 0 for each in range(9)))
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def _profile(device: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(D50),
        **tags,
    }
    offset, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        index += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", offset + len(body), bytes(4), 0x02400000, device, space, connection)
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _xyz(D50)[8:] + bytes(48)
    return header + struct.pack(">I", len(tags)) + index + body


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(each * 65536) for each in values))
