"""A mixed image corpus, the same bytes on every run. `python tests/corpus.py DIR` writes it out.

`good()` maps a name to bytes that must be developed; `broken()` maps a name to bytes and the error
codes that may come of them.
"""
import io
import struct
import subprocess
import sys
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

GPS_IFD, EXIF_IFD, ORIENTATION, SERIAL = 0x8825, 0x8769, 0x0112, 0xA431


def photo(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    """Photo-like: slow gradients, a few edges, a little grain. No two quadrants look alike."""
    rng = np.random.default_rng(seed * 1_000_003 + width * 1009 + height)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x + 0.5) / width, (y + 0.5) / height
    planes = []
    for channel in range(4):
        a, b, c = rng.uniform(1, 4, 3)
        planes.append(128 + 60 * np.sin(a * x * 3 + channel) + 45 * np.cos(b * y * 3 + c) + 18 * ((x > .6) & (y < .4)))
    picture = np.stack(planes, -1) + rng.normal(0, 2.5, (height, width, 1))
    if mode in ("RGBA", "LA"):
        picture[..., 3] = 255 * np.clip(1.4 - 2 * np.hypot(x - .5, y - .5), 0, 1)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if mode in ("RGBA", "CMYK"):
        return Image.fromarray(picture, mode)
    rgb = Image.fromarray(np.ascontiguousarray(picture[..., :3]), "RGB")
    if mode == "LA":
        return Image.merge("LA", (rgb.convert("L"), Image.fromarray(np.ascontiguousarray(picture[..., 3]), "L")))
    return rgb if mode == "RGB" else rgb.convert(mode)


def save(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# --- PNG: every depth and colour type, and Adam7, which Pillow cannot write -------------------------

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def png(samples: np.ndarray, depth: int, colour: int, interlaced: bool = False, extra: bytes = b"") -> bytes:
    """`samples` is height x width x channels, already in the range of `depth`."""
    def rows(part: np.ndarray) -> bytes:
        out = bytearray()
        for row in part:
            flat = row.reshape(-1)
            if depth == 16:
                line = flat.astype(">u2").tobytes()
            elif depth == 8:
                line = flat.astype(np.uint8).tobytes()
            else:
                bits = (flat[:, None] >> np.arange(depth - 1, -1, -1)) & 1
                line = np.packbits(bits.reshape(-1).astype(np.uint8)).tobytes()
            out += b"\0" + line
        return bytes(out)

    height, width = samples.shape[:2]
    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        data = b"".join(rows(part) for part in parts if part.size)
    else:
        data = rows(samples)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data, 6))
            + chunk(b"IEND", b""))


def png_files() -> dict[str, bytes]:
    grey = np.asarray(photo(90, 61, 1, "L"))[..., None]
    rgb, rgba = np.asarray(photo(90, 61, 2)), np.asarray(photo(90, 61, 3, "RGBA"))
    la = np.asarray(photo(90, 61, 4, "LA"))
    wide = lambda a: a.astype(np.uint16) * 257
    files = {f"grey{d}.png": png(grey >> (8 - d), d, 0) for d in (1, 2, 4, 8)}
    files |= {f"grey{d}-interlaced.png": png(grey >> (8 - d), d, 0, True) for d in (1, 4, 8)}
    for d in (1, 2, 4, 8):
        count = 1 << d
        palette = chunk(b"PLTE", bytes(v for i in range(count) for v in (i * 255 // (count - 1), 120, 255 - i * 255 // (count - 1))))
        files[f"palette{d}.png"] = png(grey >> (8 - d), d, 3, extra=palette)
    files["palette8-trns.png"] = png(grey, 8, 3, extra=palette + chunk(b"tRNS", bytes(range(0, 256, 2))))
    files["palette8-interlaced.png"] = png(grey, 8, 3, True, palette)
    files["grey8-trns.png"] = png(grey, 8, 0, extra=chunk(b"tRNS", struct.pack(">H", int(grey[0, 0, 0]))))
    files["rgb8-trns.png"] = png(rgb, 8, 2, extra=chunk(b"tRNS", struct.pack(">3H", *map(int, rgb[0, 0]))))
    for name, samples, colour in (("grey", grey, 0), ("rgb", rgb, 2), ("la", la, 4), ("rgba", rgba, 6)):
        files[f"{name}16.png"] = png(wide(samples), 16, colour)
        if name != "grey":
            files[f"{name}8.png"] = png(samples, 8, colour)
    files["rgb8-interlaced.png"] = png(rgb, 8, 2, True)
    files["rgba8-interlaced.png"] = png(rgba, 8, 6, True)
    files["rgba16-interlaced.png"] = png(wide(rgba), 16, 6, True)
    files["1x1.png"] = png(rgb[:1, :1], 8, 2)
    files["animated.png"] = save(frames(4)[0], "PNG", save_all=True, append_images=frames(4)[1:], duration=[100, 200, 50, 80], loop=3)
    return files


# --- JPEG ------------------------------------------------------------------------------------------

def cjpeg(image: Image.Image, *options: str) -> bytes:
    """libjpeg's own tool, for the samplings Pillow has no name for."""
    return subprocess.run(["cjpeg", "-quality", "85", *options], input=save(image, "PPM"), capture_output=True, check=True).stdout


def ycck(image: Image.Image) -> bytes:
    """Adobe's YCCK: the planes are computed here, written as if CMYK, and the marker set to say so."""
    c, m, y, k = (np.asarray(plane).astype(float) for plane in image.split())
    luma = .299 * c + .587 * m + .114 * y
    planes = [luma, 128 + (y - luma) / 1.772, 128 + (c - luma) / 1.402, 255 - k]
    stored = [Image.fromarray((255 - np.clip(p.round(), 0, 255)).astype(np.uint8)) for p in planes]
    data = bytearray(save(Image.merge("CMYK", stored), "JPEG", quality=90))
    at = data.index(b"\xff\xee")
    assert data[at + 4:at + 9] == b"Adobe"
    data[at + 15] = 2
    return bytes(data)


def jpeg_files() -> dict[str, bytes]:
    picture = photo(333, 251, 5)
    files = {f"{a}{b}{c}.jpg": save(picture, "JPEG", quality=85, subsampling=f"{a}:{b}:{c}") for a, b, c in ((4, 4, 4), (4, 2, 2), (4, 2, 0))}
    files["411.jpg"] = cjpeg(picture, "-sample", "4x1")
    files["440.jpg"] = cjpeg(picture, "-sample", "1x2")
    files["baseline.jpg"] = save(photo(1600, 1200, 6), "JPEG", quality=85)
    files["progressive.jpg"] = save(photo(800, 600, 7), "JPEG", quality=85, progressive=True)
    files["restart.jpg"] = save(picture, "JPEG", restart_marker_blocks=4)
    files["restart-progressive.jpg"] = save(picture, "JPEG", restart_marker_rows=1, progressive=True)
    files["grey.jpg"] = save(photo(200, 133, 8, "L"), "JPEG")
    files["grey-progressive.jpg"] = save(photo(200, 133, 8, "L"), "JPEG", progressive=True)
    files["cmyk.jpg"] = save(photo(201, 133, 9, "CMYK"), "JPEG")
    files["ycck.jpg"] = ycck(photo(201, 133, 9, "CMYK"))
    for width, height in ((1, 1), (2, 3), (7, 9), (15, 17), (1, 300), (299, 1)):
        files[f"{width}x{height}.jpg"] = save(photo(width, height, 10), "JPEG")
    return files


# --- animation, TIFF, BMP, WebP --------------------------------------------------------------------

def frames(count: int, size: tuple[int, int] = (120, 80), mode: str = "RGBA") -> list[Image.Image]:
    """A square wanders over a photo: no two frames are equal, so no encoder may merge any."""
    out = []
    for i in range(count):
        frame = photo(*size, 11, mode)
        frame.paste((255, 40 * i % 256, 0, 255)[: len(mode)], (8 + 9 * i % 90, 10, 28 + 9 * i % 90, 30))
        out.append(frame)
    return out


def gif_files() -> dict[str, bytes]:
    opaque = [f.convert("RGB").quantize(64) for f in frames(5, mode="RGB")]
    more = dict(save_all=True, append_images=opaque[1:])
    cut = []
    for i in range(4):
        plane = np.zeros((60, 100), np.uint8)
        plane[10 + 5 * i:30 + 5 * i, 10 + 12 * i:40 + 12 * i] = 1 + i
        frame = Image.fromarray(plane, "P")
        frame.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 250, 250, 0])
        cut.append(frame)
    files = {
        "static.gif": save(opaque[0], "GIF", interlace=0),
        "interlaced.gif": save(opaque[1], "GIF", interlace=1),
        "transparent.gif": save(cut[0], "GIF", transparency=0),
        "delays.gif": save(opaque[0], "GIF", **more, duration=[40, 100, 250, 70, 500], loop=0),
        "loop3.gif": save(opaque[0], "GIF", **more, duration=80, loop=3),
        "once.gif": save(opaque[0], "GIF", **more, duration=80),
    }
    for disposal in (1, 2, 3):
        files[f"disposal{disposal}.gif"] = save(cut[0], "GIF", save_all=True, append_images=cut[1:], duration=90, loop=0,
                                                transparency=0, disposal=disposal)
    return files


def other_files() -> dict[str, bytes]:
    rgb, rgba = photo(150, 101, 12), photo(150, 101, 13, "RGBA")
    anim, clear = frames(4, mode="RGB"), frames(4)
    files = {
        "lossy.webp": save(rgb, "WEBP", quality=80), "lossless.webp": save(rgb, "WEBP", lossless=True),
        "alpha.webp": save(rgba, "WEBP", quality=80), "alpha-lossless.webp": save(rgba, "WEBP", lossless=True),
        "animated.webp": save(anim[0], "WEBP", save_all=True, append_images=anim[1:], duration=[100, 60, 200, 90], loop=2),
        "animated-alpha.webp": save(clear[0], "WEBP", save_all=True, append_images=clear[1:], duration=70, loop=0),
        "rgb24.bmp": save(rgb, "BMP"), "grey8.bmp": save(rgb.convert("L"), "BMP"), "palette8.bmp": save(rgb.quantize(200), "BMP"),
        "rgba32.bmp": save(rgba, "BMP"), "bilevel.bmp": save(rgb.convert("1"), "BMP"),
    }
    for name, how in (("none", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate")):
        for mode in ("L", "RGB", "RGBA", "CMYK", "P"):
            image = rgb.quantize(100) if mode == "P" else photo(150, 101, 14, mode)
            files[f"{mode.lower()}-{name}.tif"] = save(image, "TIFF", compression=how)
    grey16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    files["grey16.tif"] = save(grey16, "TIFF", compression="tiff_lzw")
    return files


# --- EXIF and colour -------------------------------------------------------------------------------

def exif(orientation: int | None = None) -> Image.Exif:
    """Orientation, and what nobody should publish: a place and a serial number."""
    tags = Image.Exif()
    if orientation is not None:
        tags[ORIENTATION] = orientation
    tags[0x010F], tags[0x0110] = "Tintype", "Corpus"
    tags.get_ifd(EXIF_IFD).update({SERIAL: "SN-0123456789", 0x9003: "2024:05:06 07:08:09"})
    tags.get_ifd(GPS_IFD).update({1: "N", 2: (52.0, 22.0, 12.5), 3: "E", 4: (4.0, 53.0, 42.0)})
    return tags


def adobe_rgb() -> bytes:
    """A matrix profile with Adobe RGB's primaries (D50) and gamma, built by hand."""
    s15 = lambda v: struct.pack(">i", round(v * 65536))
    xyz = lambda v: b"XYZ \0\0\0\0" + b"".join(map(s15, v))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.19921875 * 256)) + b"\0\0"
    name = b"Wide test RGB\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78
    tags = {b"desc": description, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz((.9642, 1, .8249)),
            b"rXYZ": xyz((.60974, .31111, .01947)), b"gXYZ": xyz((.20528, .62567, .06087)),
            b"bXYZ": xyz((.14919, .06322, .74457)), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s12s4s", at + len(body), b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ",
                         struct.pack(">6H", 2024, 1, 1, 0, 0, 0), b"acsp").ljust(68, b"\0")
    header += b"".join(map(s15, (.9642, 1, .8249)))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def fact_files() -> dict[str, bytes]:
    files = {f"orientation{n}.jpg": save(photo(240, 150, 15), "JPEG", exif=exif(n)) for n in range(10)}
    files["orientation6.png"] = save(photo(240, 150, 15), "PNG", exif=exif(6))
    files["orientation6.webp"] = save(photo(240, 150, 15), "WEBP", exif=exif(6))
    for kind, options in (("jpg", dict(quality=92)), ("png", {}), ("webp", dict(lossless=True))):
        kind_name = {"jpg": "JPEG"}.get(kind, kind.upper())
        files[f"wide-gamut.{kind}"] = save(photo(240, 150, 16), kind_name, icc_profile=adobe_rgb(), exif=exif(1), **options)
    place = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf exif:GPSLatitude="52,22.2N" aux:SerialNumber="SN-0123456789"/></x:xmpmeta>'
    files["xmp.jpg"] = save(photo(240, 150, 15), "JPEG", exif=exif(3), xmp=place, comment=b"kept or not, it is no secret")
    return files


@cache
def good() -> dict[str, bytes]:
    return jpeg_files() | png_files() | gif_files() | other_files() | fact_files()


# --- broken ----------------------------------------------------------------------------------------

def huge_jpeg() -> bytes:
    data = bytearray(save(photo(64, 64), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at:at + 4] = struct.pack(">HH", 64000, 64000)
    return bytes(data)


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 64000, 64000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def many_frames(count: int = 5000) -> bytes:
    frame = b"\x21\xf9\x04\0\x02\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0" + b"\x02\x02\x44\x01\0"
    return b"GIF89a\1\0\1\0\x80\0\0" + b"\0\0\0\xff\xff\xff" + frame * count + b";"


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr(zipfile.ZipInfo("a.txt"), "not an image")
    return out.getvalue()


@cache
def broken() -> dict[str, tuple[bytes, set[str]]]:
    jpeg, rng = save(photo(640, 480, 17), "JPEG"), np.random.default_rng(18)
    whole_png, webp = save(photo(200, 150, 19), "PNG"), save(photo(200, 150, 19), "WEBP")
    unsupported, corrupt = {"unsupported_format"}, {"corrupt"}
    return {
        "empty.jpg": (b"", unsupported | corrupt),
        "text.jpg": (b"This is not an image, whatever its name says.\n" * 20, unsupported),
        "page.jpg": (b"<!doctype html><html><body>Not found</body></html>", unsupported),
        "archive.jpg": (zipped(), unsupported),
        "truncated.jpg": (jpeg[: len(jpeg) // 3], corrupt),
        "truncated.png": (whole_png[: len(whole_png) // 3], corrupt),
        "truncated.webp": (webp[: len(webp) // 3], corrupt),
        "magic-only.jpg": (jpeg[:20], corrupt),
        "noise.jpg": (b"\xff\xd8\xff\xe0" + rng.bytes(5000), corrupt | unsupported),
        "64000x64000.jpg": (huge_jpeg(), {"too_many_pixels"}),
        "64000x64000.png": (huge_png(), {"too_many_pixels"}),
        "5000-frames.gif": (many_frames(), {"too_many_frames"}),
        "bad-crc.png": (whole_png[:60] + bytes([whole_png[60] ^ 0xFF]) + whole_png[61:], corrupt),
    }


def flipped(count: int = 40) -> dict[str, bytes]:
    """Good files with a few bits turned over: any of them may be developed or refused, none may crash."""
    rng, names = np.random.default_rng(20), sorted(good())
    out = {}
    for i in range(count):
        name = names[int(rng.integers(len(names)))]
        data = bytearray(good()[name])
        for at in rng.integers(2, len(data), 3):
            data[at] ^= 1 << int(rng.integers(8))
        out[f"flip{i:02}-{name}"] = bytes(data)
    return out


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def srgb_of(image: Image.Image) -> Image.Image:
    """What an image with a profile looks like in sRGB, by littleCMS."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    return ImageCms.profileToProfile(image.convert("RGB"), profile, ImageCms.createProfile("sRGB"))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write(target / "good", good())
    write(target / "broken", {name: data for name, (data, _) in broken().items()} | flipped())
    print(f"{len(good())} good, {len(broken())} broken and 40 flipped files in {target}")
