"""A thumbhash (https://evanw.github.io/thumbhash/) as a picture of some 16 pixels, which browsers enlarge smoothly."""
import base64
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from math import cos, pi

SIDE = 16
Waves = list[tuple[int, int, float]]  # how often across, how often down, how much


@lru_cache(4096)
def placeholder(thumbhash: str) -> str:
    """A data URL; empty for what is no thumbhash, or is one of a picture with alpha."""
    try:
        code = base64.b64decode(thumbhash, validate=True)
    except ValueError:
        return ""
    if not 5 <= len(code) <= 32 or code[2] & 0x80:
        return ""
    head, rest = int.from_bytes(code[:3], "little"), int.from_bytes(code[3:5], "little")
    wide = bool(rest >> 15)
    across, down = (7, rest & 7) if wide else (rest & 7, 7)
    if not across or not down:
        return ""
    quarters = iter([part / 7.5 - 1 for byte in code[5:] for part in (byte & 15, byte >> 4)])
    light = _waves(quarters, max(3, across), max(3, down), (head >> 18 & 31) / 31)
    yellow = _waves(quarters, 3, 3, (rest >> 3 & 63) / 63 * 1.25)
    red = _waves(quarters, 3, 3, (rest >> 9 & 63) / 63 * 1.25)
    if light is None or yellow is None or red is None:
        return ""
    width, height = (SIDE, round(SIDE * down / across)) if wide else (round(SIDE * across / down), SIDE)
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # PNG: this row is not filtered
        for x in range(width):
            at = ((x + 0.5) * pi / width, (y + 0.5) * pi / height)
            lightness = (head & 63) / 63 + _sum(light, *at)
            p = (head >> 6 & 63) / 31.5 - 1 + _sum(yellow, *at)
            q = (head >> 12 & 63) / 31.5 - 1 + _sum(red, *at)
            blue = lightness - p * 2 / 3
            r = (3 * lightness - blue + q) / 2
            rows += bytes(min(255, max(0, round(255 * part))) for part in (r, r - q, blue))
    return "data:image/png;base64," + base64.b64encode(_png(width, height, bytes(rows))).decode()


def _waves(quarters: Iterator[float], across: int, down: int, scale: float) -> Waves | None:
    """The waves of one channel, in the triangle below the diagonal; None where the code ends too early."""
    found: Waves = []
    for v in range(down):
        for u in range(0 if v else 1, across):
            if u * down >= across * (down - v):
                break
            strength = next(quarters, None)
            if strength is None:
                return None
            found.append((u, v, strength * scale * 2))
    return found


def _sum(waves: Waves, x: float, y: float) -> float:
    return sum(strength * cos(u * x) * cos(v * y) for u, v, strength in waves)


def _png(width: int, height: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))
