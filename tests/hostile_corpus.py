"""Files made to harm, all in code, the same for one seed. Each comes with the codes that may come of it.

`corpus.py` has the good files that these are made of. None among the codes means that it may be developed, too.
"""
import io
import random
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Iterator

import numpy as np
from PIL import Image, PngImagePlugin

import corpus
from corpus import chunk, save

CUT = {None, "corrupt", "unsupported_format"}
HARM = {None, "corrupt", "unsupported_format", "too_many_pixels", "too_many_frames", "timeout"}
SCRIPT = b"<script>alert('tintype')</script>"


@dataclass(frozen=True)
class File:
    name: str
    data: bytes
    codes: frozenset  # of what may come of it
    content_type: str = "image/jpeg"  # what the client says it is
    heavy: bool = False  # takes seconds, or much memory: one at a time


def file(name: str, data: bytes, codes: set, **more) -> File:
    return File(name, bytes(data), frozenset(codes), **more)


# --- every format that is read, small -----------------------------------------------------------------

def rle8(width: int, height: int, top: bytes = b"") -> bytes:
    """A BMP of runs, with an absolute one, a delta and an end."""
    rows = top + (bytes([width - 8, 1, 0, 5, 2, 3, 4, 5, 6, 0, 3, 7, 0, 0])) * (height - 1) + bytes([width, 9, 0, 1])
    return bmp(8, 1, rows, width, height, bytes(v for i in range(256) for v in (i, 255 - i, i, 0)))


def bmp(bits: int, how: int, data: bytes, width: int, height: int, palette: bytes = b"") -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, how, len(data), 0, 0, len(palette) // 4, 0)
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data) & 0xFFFFFFFF, 0, 0, start) + info + palette + data


def tiff(entries: list, data: bytes = b"", following: int = 0, at: int | None = None) -> bytes:
    """One directory behind its data; an entry is (tag, type, count, value)."""
    at = 8 + len(data) if at is None else at
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in sorted(entries):
        body += struct.pack("<HHI", tag, kind, count) + (struct.pack("<HH", value, 0) if kind == 3 and count == 1 else struct.pack("<I", value))
    return b"II*\0" + struct.pack("<I", at) + data + body + struct.pack("<I", following)


def page(width: int, height: int, data: bytes, how: int = 1, rows: int | None = None, size: int | None = None) -> list:
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, how), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, height if rows is None else rows), (279, 4, 1, len(data) if size is None else size)]


def tiled() -> bytes:
    side = 32
    tiles = [np.asarray(corpus.photo(side, side, 30 + n, "L")).tobytes() for n in range(4)]
    data = b"".join(tiles)
    offsets = struct.pack("<8I", *(8 + 8 * 4 + n * side * side for n in range(4)), *[side * side] * 4)
    return tiff([(256, 4, 1, 2 * side - 3), (257, 4, 1, 2 * side - 5), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
                 (277, 3, 1, 1), (322, 3, 1, side), (323, 3, 1, side), (324, 4, 4, 8), (325, 4, 4, 24)], offsets + data)


@cache
def formats() -> dict[str, bytes]:
    """One of each way a file can be read."""
    names = ["420.jpg", "cmyk.jpg", "grey-progressive.jpg", "restart.jpg", "restart-progressive.jpg", "orientation6.jpg",
             "rgb16.png", "palette4.png", "palette8-trns.png", "rgba8-interlaced.png", "animated.png", "orientation6.png",
             "delays.gif", "interlaced.gif", "disposal3.gif", "lossy.webp", "alpha.webp", "lossless.webp",
             "animated-alpha.webp", "orientation6.webp", "rgb-none.tif", "rgb-lzw.tif", "rgba-deflate.tif", "grey16.tif",
             "rgb24.bmp", "palette8.bmp", "bilevel.bmp"]
    rgb = corpus.photo(120, 81, 31)
    made = {"tiled.tif": tiled(), "jpeg.tif": save(rgb, "TIFF", compression="jpeg"), "rle8.bmp": rle8(40, 30)}
    return {name: corpus.good()[name] for name in names} | made


def truncations(every: int = 1) -> Iterator[File]:
    """Each format, cut at every so many hundredths of its length."""
    for name, data in formats().items():
        for percent in range(every, 100, every):
            yield file(f"cut{percent:02}-{name}", data[: len(data) * percent // 100], CUT)


def flips(count: int, seed: int) -> Iterator[File]:
    """One to sixteen bits turned over, half of the time near the start, where headers are."""
    chance, names = random.Random(seed), sorted(formats())
    for number in range(count):
        name = names[number % len(names)]
        data = bytearray(formats()[name])
        end = min(len(data), 600) if chance.random() < 0.5 else len(data)
        for _ in range(chance.choice((1, 1, 2, 4, 16))):
            data[chance.randrange(end)] ^= 1 << chance.randrange(8)
        yield file(f"flip{number:05}-{name}", data, HARM)


# --- bombs --------------------------------------------------------------------------------------------

def zeros(length: int) -> bytes:
    """A zlib stream of so many zero bytes, which nobody had to compress: one block, again and again."""
    block = 1 << 24
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(bytes(block)), packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    count = length // block
    return b"\x78\xda" + again * count + b"\x03\x00" + struct.pack(">HH", count * block % 65521, 1)


def png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 2, before: bytes = b"", interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def riff(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(tag + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for tag, data in parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def flat_png(side: int, **more) -> bytes:
    """As many pixels as are let in, all alike: little to send and much to hold."""
    depth, colour = more.get("depth", 8), more.get("colour", 2)
    row = 1 + side * depth * {0: 1, 2: 3, 3: 1, 6: 4}[colour] // 8
    return png(side, side, zlib.compress(bytes(row) * side, 1), **more)


def frames_webp(count: int, side: int = 16) -> bytes:
    frame = save(Image.new("RGB", (side, side), "red"), "WEBP", lossless=True)[12:]
    three = lambda n: struct.pack("<I", n)[:3]
    anmf = bytes(6) + three(side - 1) * 2 + three(10) + b"\2" + frame
    return riff((b"VP8X", b"\2\0\0\0" + three(side - 1) * 2), (b"ANIM", bytes(6)), *[(b"ANMF", anmf)] * count)


def frames_png(count: int) -> bytes:
    row = zlib.compress(bytes(1 + 3 * 16) * 16)
    control = lambda n: chunk(b"fcTL", struct.pack(">5IHHBB", n, 16, 16, 0, 0, 1, 100, 0, 0))
    more = b"".join(control(2 * n - 1) + chunk(b"fdAT", struct.pack(">I", 2 * n) + row) for n in range(1, count))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"acTL", struct.pack(">II", count, 0)) + control(0) + chunk(b"IDAT", row) + more + chunk(b"IEND", b"")


def sized_jpeg(width: int, height: int, **options) -> bytes:
    data = bytearray(save(corpus.photo(64, 64), "JPEG", **options))
    at = next(data.index(bytes([0xFF, kind])) for kind in (0xC0, 0xC2) if bytes([0xFF, kind]) in data) + 5
    data[at:at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def scans_again(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again: time, with no pixels to show for it."""
    data = save(corpus.photo(800, 800, 33), "JPEG", quality=60, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + b"\xff\xd9"


def pixel_bombs() -> Iterator[File]:
    many, frames = {"too_many_pixels"}, {"too_many_frames"}
    yield file("64000x64000.jpg", corpus.huge_jpeg(), many)
    yield file("64000x64000-progressive.jpg", sized_jpeg(64000, 64000, progressive=True), many)
    yield file("65535x1.jpg", sized_jpeg(65535, 1), CUT)
    yield file("64000x64000.png", corpus.huge_png(), many)
    yield file("2147483647x1.png", png(0x7FFFFFFF, 1, zeros(1 << 24)), many | {"corrupt"})
    yield file("4294967295x4294967295.png", png(0xFFFFFFFF, 0xFFFFFFFF, b""), many | {"corrupt"})
    yield file("65535x65535.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b"\x2c" + bytes(4) + b"\xff\xff\xff\xff\0\2\2\x44\1\0;", many)
    yield file("16777216x16777216.webp", riff((b"VP8X", b"\2\0\0\0" + b"\xff" * 6), (b"ANIM", bytes(6))), many | {"unsupported_format"})
    yield file("16384x16384.webp", riff((b"VP8L", b"\x2f" + b"\xff\xff\xff\x0f" + bytes(40))), many | {"unsupported_format"})
    yield file("64000x64000.bmp", bmp(24, 0, bytes(100), 64000, 64000), many)
    yield file("negative.bmp", bmp(24, 0, bytes(100), -64000, -2147483648), many | {"corrupt"})
    yield file("64000x64000.tif", tiff(page(64000, 64000, b"x"), b"x"), many)
    yield file("10000-frames.gif", corpus.many_frames(10_000), frames)
    yield file("10000-frames.webp", frames_webp(10_000), frames)
    yield file("10000-frames.png", frames_png(10_000), frames)
    count, promised = (struct.pack(">I", n) + bytes(4) for n in (3, 1 << 30))
    promises = frames_png(3).replace(corpus.chunk(b"acTL", count), corpus.chunk(b"acTL", promised), 1)
    yield file("million-frames-promised.png", promises, {"corrupt", "too_many_frames"})
    # A promise with a wrong checksum counts for nothing.
    yield file("million-frames-promised-badly.png", frames_png(3).replace(count, promised, 1), {None, "corrupt", "too_many_frames"})


def heavy_bombs() -> Iterator[File]:
    """What the limits let in, and nobody would send who means well."""
    may = {None, "timeout", "too_many_pixels"}
    heavy = lambda name, data, codes=may: file(name, data, codes, heavy=True)
    yield heavy("10000x10000.jpg", save(Image.new("RGB", (10000, 10000), "teal"), "JPEG"))
    yield heavy("10000x10000-progressive.jpg", save(Image.new("L", (10000, 10000), 90), "JPEG", progressive=True))
    yield heavy("1000-scans.jpg", scans_again(1000), HARM)
    yield heavy("9990x9990-rgba16.png", flat_png(9990, depth=16, colour=6))
    yield heavy("9990x9990-interlaced.png", flat_png(9990, interlaced=1), may | {"corrupt"})
    yield heavy("10000x10000.gif", save(Image.new("P", (10000, 10000)), "GIF"))
    yield heavy("1000-frames-of-600x600.gif", large_frames(1000, 600))
    yield heavy("10000x10000.webp", save(Image.new("RGBA", (10000, 10000), (9, 9, 9, 99)), "WEBP", lossless=True, quality=0, method=0))
    yield heavy("10000x10000-lzw.tif", save(Image.new("RGB", (10000, 10000)), "TIFF", compression="tiff_lzw"))
    yield heavy("10000x10000-deflate.tif", save(Image.new("CMYK", (10000, 10000)), "TIFF", compression="tiff_adobe_deflate"))
    yield heavy("10000x10000-rle.bmp", bmp(8, 1, (bytes([255, 1]) * 39 + bytes([55, 1, 0, 0])) * 9999 + bytes([0, 1]), 10000, 10000, bytes(1024)))


def large_frames(count: int, side: int) -> bytes:
    """Frames as large as their canvas, each of one colour and so of few bytes."""
    one = save(Image.new("P", (side, side)), "GIF")
    start = one.index(b"\x2c" + bytes(4) + struct.pack("<HH", side, side))
    control = b"\x21\xf9\x04\x08\x05\0\0\0"
    return one[:start] + (control + one[start:-1]) * count + b";"


def text_bombs() -> Iterator[File]:
    """Little that unpacks to gigabytes, where a reader may think of none."""
    small = zlib.compress(bytes(1 + 3 * 8) * 8)
    huge = zeros(8 << 30)
    heavy = lambda name, data, codes: file(name, data, codes, heavy=True)
    for tag, head in ((b"iCCP", b"icc\0\0"), (b"zTXt", b"Comment\0\0"), (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0")):
        yield heavy(f"{tag.decode()}-of-8-GiB.png", png(8, 8, small, before=chunk(tag, head + huge)), CUT | {"too_many_pixels"})
    yield heavy("idat-of-8-GiB.png", png(8, 8, huge), CUT)
    for how in (8, 32946):
        yield heavy(f"strip-of-8-GiB-{how}.tif", tiff(page(8, 8, huge, how), huge), CUT)
    yield heavy("endless-lzw.tif", tiff(page(8, 8, b"\x80\x0b\x60" * 2_000_000, 5), b"\x80\x0b\x60" * 2_000_000), CUT)
    profile = b"".join(b"\xff\xe2" + struct.pack(">H", 65535) + b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(65519) for n in range(1, 150))
    jpeg = corpus.good()["420.jpg"]
    yield heavy("icc-of-10-MiB.jpg", jpeg[:2] + profile[:9_000_000 // 65537 * 65537] + jpeg[2:], CUT)


# --- headers that lie ---------------------------------------------------------------------------------

def directories() -> Iterator[File]:
    """TIFF's directories: in rings, in chains, too long, over each other."""
    data = bytes(64)
    good = page(8, 8, data)
    at = 8 + len(data)
    yield file("ifd-to-itself.tif", tiff(good, data, following=at), HARM)
    chain = bytearray(tiff(good, data, following=0))
    for _ in range(20_000):
        chain[-4:] = struct.pack("<I", len(chain))
        chain += struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 8) + bytes(4)
    yield file("chain-of-20000-ifds.tif", bytes(chain), HARM)
    for tag in (330, 34665, 34853):  # SubIFDs, Exif, GPS
        yield file(f"ring-by-{tag}.tif", tiff(good + [(tag, 4, 1, at)], data), HARM)
        yield file(f"4-gib-of-{tag}.tif", tiff(good + [(tag, 4, 0xFFFFFFFF, at)], data), HARM)
    for tag in (273, 279, 258, 320, 34675, 700, 33723):
        changed = [entry for entry in good if entry[0] != tag]
        yield file(f"count-of-4-gib-{tag}.tif", tiff(changed + [(tag, 4, 0xFFFFFFFF, 8)], data), HARM)
        yield file(f"offset-past-end-{tag}.tif", tiff(changed + [(tag, 4, 1000, 0xFFFFFFF0)], data), HARM)
    for tag, value in ((278, 0), (278, 0xFFFFFFFF), (277, 65535), (258, 65535), (258, 0), (259, 65535), (279, 0xFFFFFFFF), (256, 0)):
        changed = [entry for entry in good if entry[0] != tag]
        yield file(f"tag-{tag}-is-{value}.tif", tiff(changed + [(tag, 3 if value <= 65535 else 4, 1, value)], data), HARM)
    yield file("65535-entries.tif", b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 256, 4, 1, 8) * 3, CUT)
    yield file("ifd-at-4-gib.tif", b"II*\0\xf0\xff\xff\xff", CUT)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x010E, 2, 0xFFFFFFFF, 8) + struct.pack("<I", 8)
    jpeg = corpus.good()["420.jpg"]
    yield file("exif-ring.jpg", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:], CUT)


def lengths() -> Iterator[File]:
    """Lengths of zero, of one, of four gigabytes."""
    whole = {name.split("-")[0]: data for name, data in formats().items()}
    jpeg, png_, webp, bmp_, gif = (whole[n] for n in ("420.jpg", "rgb16.png", "lossy.webp", "rgb24.bmp", "interlaced.gif"))
    for length in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        number = struct.pack(">I", length)
        yield file(f"chunk-of-{length}.png", png_[:33] + number + b"teXt" + png_[33:], HARM)
        yield file(f"idat-of-{length}.png", png_[:33] + number + png_[37:], HARM)
        little = struct.pack("<I", length)
        yield file(f"riff-of-{length}.webp", webp[:4] + little + webp[8:], HARM)
        yield file(f"vp8-of-{length}.webp", webp[:16] + little + webp[20:], HARM)
        yield file(f"pixels-at-{length}.bmp", bmp_[:10] + little + bmp_[14:], HARM)
        yield file(f"colours-{length}.bmp", bmp_[:46] + little + bmp_[50:], HARM)
        yield file(f"header-of-{length}.bmp", bmp_[:14] + little + bmp_[18:], HARM)
    for length in (0, 1, 2, 65535):
        yield file(f"segment-of-{length}.jpg", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", length) + jpeg[2:], HARM)
    for kind in (0xC1, 0xC3, 0xC5, 0xC7, 0xC9, 0xCB, 0xCF):
        yield file(f"sof-{kind:x}.jpg", jpeg.replace(b"\xff\xc0", bytes([0xFF, kind])), HARM)
    at = jpeg.index(b"\xff\xc0")
    for what, offset, value in (("precision", 4, 12), ("precision", 4, 0), ("components", 9, 255), ("components", 9, 0), ("sampling", 11, 0xFF), ("sampling", 11, 0)):
        yield file(f"{what}-{value}.jpg", jpeg[:at + offset] + bytes([value]) + jpeg[at + offset + 1:], HARM)
    yield file("all-ff.jpg", b"\xff\xd8" + b"\xff" * 500_000, CUT)
    yield file("million-markers.jpg", b"\xff\xd8" + b"\xff\xe0\0\2" * 1_000_000 + jpeg[2:], HARM)
    yield file("million-comments.gif", gif[:-1] + b"\x21\xfe\1x\0" * 1_000_000 + b";", HARM)
    yield file("million-chunks.png", png_[:33] + chunk(b"teXt", b"a\0b") * 500_000 + png_[33:], HARM)
    for count in (0, 1, 3, 16, 100_000):
        yield file(f"{count}-zeros", bytes(count), CUT - {None})


# --- two things at once -------------------------------------------------------------------------------

def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as jar:
        jar.writestr(zipfile.ZipInfo("index.html"), SCRIPT.decode())
    return out.getvalue()


def polyglots() -> Iterator[File]:
    jpeg, gif = corpus.good()["420.jpg"], corpus.good()["static.gif"]
    picture, image = corpus.photo(64, 48, 40), {None}
    jar = archive()
    yield file("gifar.gif", gif + jar, image)
    yield file("page-behind.jpg", jpeg + b"<html>" + SCRIPT, image)
    yield file("page-in-comment.jpg", jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(SCRIPT) + 2) + SCRIPT + jpeg[2:], image)
    yield file("archive-behind.png", save(picture, "PNG") + jar, image)
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "<?php system($_GET['c']); ?>" + SCRIPT.decode())
    yield file("php-in-text.png", save(picture, "PNG", pnginfo=notes), image)
    tags = Image.Exif()
    tags[0x010E], tags[0x013B] = SCRIPT.decode(), "'\"><img src=x onerror=alert(1)>"
    yield file("script-in-exif.jpg", save(picture, "JPEG", exif=tags), image)
    yield file("script-in-xmp.jpg", save(picture, "JPEG", xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SCRIPT + b"</x:xmpmeta>"), image)
    webp = save(picture, "WEBP")
    parts = webp[12:] + b"HTML" + struct.pack("<I", len(SCRIPT)) + SCRIPT + b"\0" * (len(SCRIPT) % 2)
    yield file("page-in-chunk.webp", b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts, image | {"corrupt"})
    yield file("javascript.gif", b"GIF89a/*" + gif[8:] + b"*/=1;" + SCRIPT, {None, "corrupt", "too_many_pixels"})
    yield file("pdf-behind.tif", save(picture, "TIFF") + b"%PDF-1.7\n" + SCRIPT, image)
    yield file("page-behind.bmp", save(picture, "BMP") + SCRIPT, image)
    no = {"unsupported_format"}
    yield file("svg.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>", no)
    yield file("page.jpg", b"<!doctype html>" + SCRIPT, no)
    yield file("pdf.jpg", b"%PDF-1.7\n" + jpeg, no)
    yield file("archive.jpg", jar + jpeg, no)
    yield file("spaces-before.jpg", b"\r\n" + jpeg, no)
    yield file("elf.png", b"\x7fELF" + bytes(200), no)
    for brand in (b"avif", b"heic", b"mif1", b"isom"):
        yield file(f"{brand.decode()}-by-name", b"\0\0\0\x18ftyp" + brand + bytes(4) + brand + b"mif1" + bytes(300), no | {"corrupt"})


def mislabelled() -> Iterator[File]:
    """Every kind under the name and type of another: what counts is what it is."""
    kinds = {"jpg": "420.jpg", "png": "rgb16.png", "gif": "delays.gif", "webp": "lossy.webp", "tif": "rgb-lzw.tif", "bmp": "rgb24.bmp"}
    types = {"jpg": "jpeg", "tif": "tiff"}
    for is_, name in kinds.items():
        for said in kinds:
            if said != is_:
                yield file(f"{is_}-as.{said}", formats()[name], {None}, content_type=f"image/{types.get(said, said)}")


def light() -> Iterator[File]:
    for some in (pixel_bombs, directories, lengths, polyglots, mislabelled):
        yield from some()


def heavy() -> Iterator[File]:
    yield from heavy_bombs()
    yield from text_bombs()
