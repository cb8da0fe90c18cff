"""ICC profiles made by hand: matrices, tables, grey. Small, and of no licence but this project's."""
import struct

import numpy as np

D50 = (.9642, 1., .8249)


def _s15(values) -> bytes:
    return b"".join(struct.pack(">i", round(v * 65536)) for v in values)


def xyz(values) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(values)


def gamma(value: float) -> bytes:
    """A parametric curve: a plain power, to the sixteenth bit."""
    return b"para\0\0\0\0\0\0\0\0" + _s15([value])


def sampled(values) -> bytes:
    levels = np.clip(np.asarray(values) * 65535, 0, 65535).round().astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(levels)) + levels.tobytes()


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", version: int = 0x04200000) -> bytes:
    name = "made for tests".encode("utf-16-be")
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(name), 28) + name
    tags = {b"desc": text, b"cprt": text, b"wtpt": xyz(D50)} | tags
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), b"\0" * 4, version, kind, space, connection,
                       struct.pack(">6H", 2024, 1, 1, 0, 0, 0), b"acsp").ljust(68, b"\0") + _s15(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def matrix(red, green, blue, curve: bytes) -> bytes:
    """Primaries as XYZ relative to D50."""
    return profile(b"RGB ", b"XYZ ", {b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue),
                                      b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


SRGB_CURVE = sampled([(x / 12.92 if x <= .04045 else ((x + .055) / 1.055) ** 2.4) for x in np.linspace(0, 1, 1024)])
DISPLAY_P3 = matrix((.51512, .24120, -.00105), (.29198, .69225, .04189), (.15710, .06657, .78407), SRGB_CURVE)
ADOBE_RGB = matrix((.60974, .31111, .01947), (.20528, .62567, .06087), (.14919, .06322, .74457), gamma(2.19921875))
PROPHOTO = matrix((.79767, .28804, 0), (.13519, .71188, 0), (.03134, .00009, .82491), gamma(1.8))
GREY_18 = profile(b"GRAY", b"XYZ ", {b"kTRC": gamma(1.8)})


def lut(channels: int, grid: int, lab) -> bytes:
    """An `mft2` table on a grid; `lab` turns device values, 0 to 1, into L*, a*, b*."""
    axes = np.meshgrid(*[np.linspace(0, 1, grid)] * channels, indexing="ij")
    nodes = np.stack(lab(*axes), -1).reshape(-1, 3)
    coded = np.stack([nodes[:, 0] * 652.8, (nodes[:, 1] + 128) * 256, (nodes[:, 2] + 128) * 256], -1)
    line = struct.pack(">2H", 0, 65535)
    made = b"mft2\0\0\0\0" + bytes((channels, 3, grid, 0)) + _s15([1, 0, 0, 0, 1, 0, 0, 0, 1]) + struct.pack(">2H", 2, 2)
    made += line * channels + np.clip(coded, 0, 65535).round().astype(">u2").tobytes() + line * 3
    return made


def table(space: bytes, channels: int, grid: int, lab, relative=None) -> bytes:
    """A profile of tables: for the perceptual intent, and perhaps another for the relative one."""
    tables = {b"A2B0": lab} | ({b"A2B1": relative} if relative else {})
    return profile(space, b"Lab ", {tag: lut(channels, grid, lab) for tag, lab in tables.items()}, kind=b"prtr", version=0x02400000)


def _warm(r, g, b):
    """A screen whose reds are strong."""
    return 100 * (.3 * r + .6 * g + .1 * b) ** .9, 70 * (r - g) + 10 * (r - b), 80 * (.5 * (r + g) - b)


def _ink(c, m, y, k):
    """A press whose black is not quite black."""
    paper = 1 - .93 * k
    return 96 * paper * (1 - .35 * c) * (1 - .5 * m) * (1 - .1 * y), paper * (-35 * c + 70 * m - 5 * y), paper * (-45 * c - 5 * m + 85 * y)


RGB_TABLE = table(b"RGB ", 3, 17, _warm)
CMYK_TABLE = table(b"CMYK", 4, 9, _ink)
# The press again, for the relative intent alone; and behind another table, which browsers do not look at.
CMYK_RELATIVE = CMYK_TABLE.replace(b"A2B0", b"A2B1")
CMYK_BOTH = table(b"CMYK", 4, 9, _ink, relative=lambda c, m, y, k: (50 + 0 * c, 40 + 0 * m, 0 * k))
