"""Files with a needle in every place that a format has: one file a place, its bytes and where the needle lies.

What reads as an image reads the same without it. The places that a single list of tags covers are in test_metadata.py; here are
those that lie deeper: in the coded pixels, in pictures inside pictures, behind what calls itself harmless.
"""
import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin

import corpus
from test_metadata import EXIF_PLACES, IPTC, SECRET, TEXT, XMP, exif, riff, segment, webp_chunk

NEEDLE = SECRET
PICTURE = corpus.photo(96, 64, 67)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# --- pictures inside pictures ------------------------------------------------------------------------

def telling_jpeg() -> bytes:
    """A small JPEG with all that a phone writes: place, XMP, IPTC, a comment."""
    small = corpus.save(PICTURE.resize((16, 16)), "JPEG")
    return small[:2] + segment(0xE1, exif("gps:area")) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP) + \
        segment(0xED, IPTC) + segment(0xFE, NEEDLE) + small[2:]


def with_telling_thumbnail() -> bytes:
    """EXIF whose thumbnail has EXIF of its own."""
    tiff, small = bytearray(corpus.exif(6).tobytes()[6:]), telling_jpeg()
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    link = first + 2 + 12 * struct.unpack_from(order + "H", tiff, first)[0]
    struct.pack_into(order + "I", tiff, link, len(tiff))
    at = len(tiff) + 2 + 24 + 4
    tiff += struct.pack(order + "HHHIIHHIII", 2, 513, 4, 1, at, 514, 4, 1, len(small), 0) + small
    return b"Exif\0\0" + bytes(tiff)


# --- EXIF --------------------------------------------------------------------------------------------

FRACTIONS = (5, 4, (NEEDLE * 2)[:32])
WORDS = (2, 32, (NEEDLE * 2)[:31] + b"\0")
EXIF_TAGS = {"colour space": (40961, FRACTIONS), "ISO": (34855, (12, 4, (NEEDLE * 2)[:32])), "exposure time": (33434, FRACTIONS),
             "lens": (42034, FRACTIONS), "width": (40962, FRACTIONS), "metering mode": (37383, (4, 8, (NEEDLE * 2)[:32])), "exposure bias": (37380, (10, 4, FRACTIONS[2])),
             "date": (36867, WORDS), "parts of a second": (37521, WORDS), "time zone": (36881, WORDS),
             "behind a date": (36868, (2, 19 + len(NEEDLE) + 1, b"2024:05:06 07:08:09" + NEEDLE + b"\0"))}


def exif_with(tags: dict[int, tuple[int, int, bytes]]) -> bytes:
    """A payload whose Exif directory has these tags: types, counts and values."""
    at, heads, values = 8 + 2 + 12 + 4, b"", b""
    first = at + 2 + 12 * len(tags) + 4
    for tag, (kind, count, data) in sorted(tags.items()):
        heads += struct.pack("<HHII", tag, kind, count, first + len(values))
        values += data + b"\0" * (len(data) % 2)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 34665, 4, 1, at, 0) + struct.pack("<H", len(tags)) + heads + bytes(4) + values


# --- JPEG --------------------------------------------------------------------------------------------

def icc(number: int, count: int, part: bytes) -> bytes:
    return segment(0xE2, b"ICC_PROFILE\0" + bytes((number, count)) + part)


def jpeg_places() -> dict[str, bytes]:
    plain = corpus.save(PICTURE, "JPEG", quality=88)
    scans = corpus.save(PICTURE, "JPEG", quality=88, progressive=True)
    second = scans.index(b"\xff\xda", scans.index(b"\xff\xda") + 2)
    tables = scans.rindex(b"\xff\xc4", 0, second)
    before = lambda *segments: plain[:20] + b"".join(segments) + plain[20:]
    between = lambda data: scans[:tables] + data + scans[tables:]
    restarts = corpus.save(PICTURE, "JPEG", quality=88, restart_marker_blocks=4)
    mark = restarts.index(b"\xff\xd2")
    fourth = b"\3" + (NEEDLE * 4)[:64]
    codes = b"\x13" + bytes(4) + bytes((len(NEEDLE),)) + bytes(11) + NEEDLE
    quantiser = b"\0" + (NEEDLE * 4)[:64]
    return {
        "behind the last code": plain[:-2] + NEEDLE + plain[-2:],
        "behind the last code of a scan": scans[:tables] + NEEDLE + scans[tables:-2] + NEEDLE + scans[-2:],
        "behind the last code of an interval": restarts[:mark] + NEEDLE + restarts[mark:],
        "behind one interval too many": restarts[:-2] + b"\xff\xd0" + NEEDLE + restarts[-2:],
        "quantiser of no component": before(segment(0xDB, fourth)), "codes of no scan": before(segment(0xC4, codes)),
        "quantiser that is written over": plain[:2] + segment(0xDB, quantiser) + plain[2:],
        "quantiser behind the pixels": plain[:-2] + segment(0xDB, quantiser) + plain[-2:],
        "height behind the pixels": plain[:-2] + segment(0xDC, NEEDLE) + plain[-2:],
        "thumbnail with EXIF": plain[:2] + segment(0xE1, with_telling_thumbnail()) + plain[2:],
        "second image with EXIF": before(segment(0xE2, b"MPF\0II*\0" + bytes(40))) + telling_jpeg(),
        "JFXX with a JPEG": before(segment(0xE0, b"JFXX\0\x10" + telling_jpeg())),
        "IPTC in a Photoshop block": before(segment(0xED, IPTC)),
        "profile that is none": before(icc(1, 1, NEEDLE)),
        "profile with one part too many": before(icc(1, 1, PROFILE), icc(7, 1, NEEDLE)),
        "behind the profile": before(icc(1, 1, PROFILE + NEEDLE)),
        "profile behind the pixels": plain[:-2] + icc(1, 1, PROFILE + NEEDLE) + plain[-2:],
        "comment between scans": between(segment(0xFE, NEEDLE)), "EXIF between scans": between(segment(0xE1, exif("gps:area"))),
        "behind the end, with an end": plain + NEEDLE + b"\xff\xd9",
    } | {f"EXIF {name}": plain[:2] + segment(0xE1, exif_with({tag: value})) + plain[2:] for name, (tag, value) in EXIF_TAGS.items()}


# --- colours of no pixel -----------------------------------------------------------------------------

FEW = 32


def with_palette(picture: Image.Image, kept: int = FEW) -> Image.Image:
    """Of 256 colours the first are the picture's; the rest is a needle."""
    out = picture.quantize(kept)
    out.putpalette((bytes(out.getpalette())[:3 * kept]).ljust(3 * kept, b"\0") + (NEEDLE * 60)[:3 * (256 - kept)])
    return out


# --- PNG ---------------------------------------------------------------------------------------------

def packed_pixels(extra: bytes = b"") -> bytes:
    rows = np.asarray(PICTURE)
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows) + extra)


def with_free_colours(interlaced: bool = False, frame: bool = False, extra: bytes = b"") -> bytes:
    """A PNG of indices in which three colours in four are no pixel's: the others hold a needle."""
    indices = np.asarray(PICTURE.convert("L"))[..., None] // 64 * 4
    colours = [bytes((n, 255 - n, n // 2)) for n in range(256)]
    needle = (NEEDLE * 60)[:768]
    table = b"".join(colours[n] if n % 4 == 0 or n > 15 else needle[3 * n:3 * n + 3] for n in range(16)) + needle[:240 * 3]
    return corpus.png(indices, 8, 3, interlaced, corpus.chunk(b"PLTE", table) + extra)


def png_of(*chunks: tuple[bytes, bytes], pixels: list[bytes] | None = None) -> bytes:
    head = struct.pack(">IIBBBBB", *PICTURE.size, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, *((b"IDAT", part) for part in pixels or [packed_pixels()]), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(corpus.chunk(*part) for part in parts)


def apng(behind_frame: bytes = b"", hidden_frame: bool = False) -> bytes:
    control = lambda number: (b"fcTL", struct.pack(">IIIIIHHBB", number, *PICTURE.size, 0, 0, 1, 10, 0, 0))
    hidden = packed_pixels()
    if hidden_frame:
        rows = (NEEDLE * (96 * 3))[:96 * 3]
        hidden = zlib.compress((b"\0" + rows) * 64)
    frames = [(b"IHDR", struct.pack(">IIBBBBB", *PICTURE.size, 8, 2, 0, 0, 0)), (b"acTL", struct.pack(">II", 2, 0)), control(0),
              (b"IDAT", packed_pixels()), control(1), (b"fdAT", struct.pack(">I", 2) + packed_pixels() + behind_frame)]
    if hidden_frame:
        frames += [control(3), (b"fdAT", struct.pack(">I", 4) + hidden)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(corpus.chunk(*part) for part in [*frames, (b"IEND", b"")])


def png_places() -> dict[str, bytes]:
    pixels = packed_pixels()
    profile = lambda name, data, behind=b"": (b"iCCP", name + b"\0\0" + zlib.compress(data) + behind)
    return {
        "behind the stream": png_of(pixels=[pixels + NEEDLE]), "chunk behind the stream": png_of(pixels=[pixels, NEEDLE]),
        "stream in pieces, and more": png_of(pixels=[pixels[:500], pixels[500:] + NEEDLE[:5], NEEDLE]),
        "packed with the pixels": png_of(pixels=[packed_pixels(NEEDLE)]),
        "profile's name": png_of(profile(TEXT.encode(), PROFILE)), "behind the profile": png_of(profile(b"icc", PROFILE + NEEDLE)),
        "behind the profile's stream": png_of(profile(b"icc", PROFILE, NEEDLE)), "profile that is none": png_of(profile(b"icc", NEEDLE)),
        "long density": png_of((b"pHYs", bytes(9) + NEEDLE)), "long gamma": png_of((b"gAMA", struct.pack(">I", 45455) + NEEDLE)),
        "long significant bits": png_of((b"sBIT", NEEDLE)),
        "packed XMP": png_of((b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))),
        "thumbnail with EXIF": png_of((b"eXIf", with_telling_thumbnail()[6:])),
        "EXIF of odd types": png_of((b"eXIf", exif_with(dict(EXIF_TAGS.values()))[6:])),
        "second EXIF": png_of((b"eXIf", corpus.exif(6).tobytes()[6:]), (b"eXIf", exif("gps:area")[6:])),
        "colours of no pixel": with_free_colours(), "colours of no pixel, interlaced": with_free_colours(True),
        "colours of no pixel, how opaque": with_free_colours(extra=corpus.chunk(b"tRNS", bytes((255,)) * 16 + NEEDLE)),
        "colours of no pixel, filtered": corpus.save(with_palette(PICTURE), "PNG"),
        "colours to choose": png_of((b"PLTE", (NEEDLE * 40)[:768])), "how often colours are": with_free_colours(extra=corpus.chunk(b"hIST", NEEDLE * 2)),
        "long transparency": png_of((b"tRNS", b"\0\1\0\2\0\3" + NEEDLE)), "long background": png_of((b"bKGD", bytes(6) + NEEDLE)),
        "behind a frame": apng(NEEDLE), "frame past the last": apng(hidden_frame=True),
    }


# --- GIF ---------------------------------------------------------------------------------------------

def gif_places() -> dict[str, bytes]:
    frames = [f.convert("RGB").quantize(32) for f in corpus.frames(3, (64, 48), "RGB")]
    plain = corpus.save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=4)
    at = plain.index(b"\x21\xff\x0bNETSCAPE2.0")
    blocks = lambda data: b"".join(bytes((len(data[i:i + 255]),)) + data[i:i + 255] for i in range(0, len(data), 255)) + b"\0"
    application = lambda name, data: b"\x21\xff\x0b" + name + blocks(data)
    # The last frame's data ends before the trailer: an empty run. A run more before that is read by nobody.
    assert plain[-2:] == b"\0;"
    free = plain.index(b"\x2c" + struct.pack("<4H", 0, 0, 64, 48))
    table = 13 + 3 * (2 << (plain[10] & 7))
    assert plain[10] & 0x80 and not plain[free + 9] & 0x80
    few = plain[13:13 + 3 * 32]
    told = few + (NEEDLE * 20)[:3 * (64 - 32)]
    wider = plain[:10] + bytes((plain[10] & 0xF8 | 5,)) + plain[11:13] + told + plain[table:]
    one = corpus.save(frames[0], "GIF")
    at_image = one.index(b"\x2c" + struct.pack("<4H", 0, 0, 64, 48))
    own = one[:10] + bytes((one[10] & 0x7F,)) + one[11:13] + one[table:at_image + 9] + bytes((0x85,)) + told + one[at_image + 10:]
    return {
        "colours of no pixel": wider, "colours of no pixel, an image's own": own,
        "behind the last pixel": plain[:-2] + bytes((len(NEEDLE),)) + NEEDLE + b"\0;",
        "behind the last pixel, long": plain[:-2] + blocks(NEEDLE * 30) + b";",
        "profile that is none": plain[:at] + application(b"ICCRGBG1012", NEEDLE) + plain[at:],
        "behind the profile": plain[:at] + application(b"ICCRGBG1012", PROFILE + NEEDLE) + plain[at:],
    }


# --- WebP --------------------------------------------------------------------------------------------

def webp_chunks(file: bytes, at: int = 12) -> list[tuple[bytes, bytes]]:
    chunks = []
    while at + 8 <= len(file):
        (length,) = struct.unpack_from("<I", file, at + 4)
        chunks.append((file[at:at + 4], file[at + 8:at + 8 + length]))
        at += 8 + length + length % 2
    return chunks


def with_plain_alpha(file: bytes, start: int = 12) -> bytes:
    """The chunks of a picture with alpha that is not packed, and more of it than there are pixels."""
    plain = b"\0" + (np.arange(96 * 64) % 256).astype(np.uint8).tobytes() + NEEDLE
    return b"".join(webp_chunk(kind, plain if kind == b"ALPH" else data) for kind, data in webp_chunks(file, start))


def webp_places() -> dict[str, bytes]:
    plain = corpus.save(PICTURE, "WEBP", lossless=True, exif=exif("exif:serial"))
    lossy = corpus.save(PICTURE, "WEBP", quality=80)
    assert plain[12:16] == b"VP8X" and lossy[12:16] == b"VP8 "
    seen_through = PICTURE.convert("RGBA")
    seen_through.putalpha(PICTURE.convert("L"))
    alpha = corpus.save(seen_through, "WEBP", quality=80)
    moving = corpus.save(seen_through, "WEBP", save_all=True, append_images=[seen_through.rotate(180)], quality=80)
    assert b"ALPH" in alpha and moving.count(b"ALPH") == 2
    frames = [(kind, data[:16] + with_plain_alpha(data, 16) if kind == b"ANMF" else data) for kind, data in webp_chunks(moving)]
    return {
        "behind the alpha": riff(with_plain_alpha(alpha)), "behind the alpha of a frame": riff(b"".join(webp_chunk(*chunk) for chunk in frames)),
        "EXIF of odd types": corpus.save(PICTURE, "WEBP", lossless=True, exif=exif_with(dict(EXIF_TAGS.values()))),
        "reserved": riff(plain[12:21] + NEEDLE[:3] + plain[24:] + webp_chunk(b"NOTE", NEEDLE)),
        "profile that is none": riff(plain[12:30] + webp_chunk(b"ICCP", NEEDLE) + plain[30:]),
        "behind the profile": riff(plain[12:20] + bytes((plain[20] | 0x20,)) + plain[21:30] + webp_chunk(b"ICCP", PROFILE + NEEDLE) + plain[30:]),
        "behind a plain picture": riff(lossy[12:] + webp_chunk(b"ALPH", NEEDLE) + webp_chunk(b"ICCP", NEEDLE)),
        "thumbnail with EXIF": corpus.save(PICTURE, "WEBP", lossless=True, exif=with_telling_thumbnail()),
    }


# --- TIFF --------------------------------------------------------------------------------------------

def entries(file: bytes) -> tuple[str, dict[int, int]]:
    """Byte order, and where each entry of the first page lies."""
    order = "<" if file[:2] == b"II" else ">"
    (page,) = struct.unpack_from(order + "I", file, 4)
    (count,) = struct.unpack_from(order + "H", file, page)
    places = [page + 2 + 12 * i for i in range(count)]
    return order, {struct.unpack_from(order + "H", file, at)[0]: at for at in places}


def value(file: bytes, tag: int) -> bytes:
    order, places = entries(file)
    kind, count, at = struct.unpack_from(order + "HII", file, places[tag] + 2)
    length = count * {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}[kind]
    start = places[tag] + 8 if length <= 4 else at
    return file[start:start + length]


def with_value(file: bytes, tag: int, data: bytes) -> bytes:
    """The file with another value of a tag of bytes, behind its end."""
    order, places = entries(file)
    out = bytearray(file + b"\0" * (len(file) % 2))
    (kind,) = struct.unpack_from(order + "H", file, places[tag] + 2)
    struct.pack_into(order + "II", out, places[tag] + 4, len(data) // {3: 2, 4: 4, 5: 8}.get(kind, 1), len(out))
    return bytes(out + data)


def with_strip(file: bytes, change, offsets: int = 273, lengths: int = 279) -> bytes:
    """The file with its one strip changed, behind its end."""
    order, places = entries(file)
    number = lambda tag: struct.unpack(order + {2: "H", 4: "I"}[len(value(file, tag))], value(file, tag))[0]
    data = change(file[number(offsets):number(offsets) + number(lengths)])
    out = bytearray(file + b"\0" * (len(file) % 2))
    for tag, told in ((offsets, len(out)), (lengths, len(data))):
        struct.pack_into(order + "HII", out, places[tag] + 2, 4, 1, told)
    return bytes(out + data)


def with_tag(file: bytes, tag: int, kind: int, count: int, data: bytes) -> bytes:
    """The file with a value in place of a tag's that it does without."""
    order, places = entries(file)
    out = bytearray(file + b"\0" * (len(file) % 2))
    at = len(out)
    told = sorted([bytes(out[place:place + 12]) for other, place in places.items() if other not in (305, tag)]
                  + [struct.pack(order + "HHII", tag, kind, count, at + 2 + 12 * 40 + 4)], key=lambda entry: struct.unpack(order + "H", entry[:2]))
    struct.pack_into(order + "I", out, 4, at)
    return bytes(out + (struct.pack(order + "H", len(told)) + b"".join(told)).ljust(2 + 12 * 40 + 4, b"\0") + data)


def tiled(tile: bytes, compression: int = 1, page: tuple[int, int] = (90, 60), size: int = 96) -> bytes:
    """One tile, larger than its grey page."""
    tags = [(256, 4, 1, page[0]), (257, 4, 1, page[1]), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1), (277, 3, 1, 1),
            (322, 4, 1, size), (323, 4, 1, size), (324, 4, 1, 8 + 2 + 12 * 10 + 4), (325, 4, 1, len(tile))]
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4) + tile


def tile_with_needles() -> bytes:
    tile = np.zeros((96, 96), np.uint8)
    tile[:60, :90] = np.asarray(corpus.photo(90, 60, 5, "L"))
    tile[70, :len(NEEDLE)] = np.frombuffer(NEEDLE, np.uint8)
    return tile.tobytes()


def subifd(file: bytes) -> bytes:
    """Another directory that the page points to, of a thumbnail that tells."""
    small = telling_jpeg()
    order = entries(file)[0]
    at = len(file) + len(file) % 2
    tags = [(254, 4, 1, 1), (256, 4, 1, 16), (257, 4, 1, 16), (259, 3, 1, 6), (513, 4, 1, at + 2 + 12 * 6 + 4), (514, 4, 1, len(small))]
    inner = struct.pack(order + "H", len(tags)) + b"".join(struct.pack(order + "HHI", *t[:3]) + (
        struct.pack(order + "I", t[3]) if t[1] == 4 else struct.pack(order + "HH", t[3], 0)) for t in tags) + bytes(4)
    out = bytearray(file + b"\0" * (len(file) % 2) + inner + small)
    places = entries(file)[1]
    struct.pack_into(order + "HHII", out, places[305], 330, 4, 1, at)  # where Software was: 330 is the next tag that is used
    return bytes(out)


def tiff_places() -> dict[str, bytes]:
    save = lambda **options: corpus.save(PICTURE, "TIFF", **options)
    save_of = lambda picture, **options: corpus.save(picture, "TIFF", **options)
    jpeg = save(compression="jpeg", quality=90)
    in_strip = lambda *segments: with_strip(jpeg, lambda strip: strip[:2] + b"".join(segments) + strip[2:])
    files = {
        "EXIF in a strip": in_strip(segment(0xE1, exif("gps:area"))), "XMP in a strip": in_strip(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
        "IPTC in a strip": in_strip(segment(0xED, IPTC)), "comment in a strip": in_strip(segment(0xFE, NEEDLE)),
        "thumbnail with EXIF in a strip": in_strip(segment(0xE1, with_telling_thumbnail())),
        "JFXX in a strip": in_strip(segment(0xE0, b"JFXX\0\x10" + telling_jpeg())),
        "behind the last code in a strip": with_strip(jpeg, lambda strip: strip[:-2] + NEEDLE + strip[-2:]),
        "behind a strip's end": with_strip(jpeg, lambda strip: strip + NEEDLE),
        "JPEG behind a strip's end": with_strip(jpeg, lambda strip: strip + telling_jpeg()),
    }
    tables = value(jpeg, 347)
    # Others (a height, a long restart interval, a scan) make the file one that is refused.
    for name, told in (("comment", segment(0xFE, NEEDLE)), ("XMP", segment(0xE1, XMP))):
        files[f"{name} in the tables"] = with_value(jpeg, 347, tables[:2] + told + tables[2:])
    many = (NEEDLE * 60)[:1536]
    for name, tag, kind, data in [("colours of no palette", 320, 3, many), ("transfer function", 301, 3, many), ("gray response", 291, 3, many[:512]),
                                  ("reference of black and white", 532, 5, many[:48]), ("weights of YCbCr", 529, 5, many[:24]), ("primaries", 319, 5, many[:48]),
                                  ("resolution", 282, 5, many[:8] + NEEDLE), ("kind of page", 254, 12, many[:8] + NEEDLE), ("smallest sample", 340, 12, many[:24]),
                                  ("tables of no JPEG", 347, 7, b"\xff\xd8" + segment(0xDB, b"\0" + many[:64]) + b"\xff\xd9"),
                                  ("behind two copyrights", 33432, 2, b"a\0b\0" + NEEDLE + b"\0")]:
        count = 1 if tag in (282, 254) else len(data) // {2: 1, 3: 2, 5: 8, 7: 1, 12: 8}[kind]
        files[name] = with_tag(save(), tag, kind, count, data)
    for name, compression in (("plain", "raw"), ("LZW", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("runs", "packbits")):
        files[f"{name} strip longer than its pixels"] = with_strip(save(compression=compression), lambda strip: strip + NEEDLE)
    fax = corpus.save(PICTURE.convert("1"), "TIFF", compression="group4")
    files["fax strip longer than its pixels"] = with_strip(fax, lambda strip: strip + b"\0\0\0\0" + NEEDLE)
    files["packed with the pixels"] = with_strip(
        save(compression="tiff_adobe_deflate"), lambda strip: zlib.compress(zlib.decompress(strip) + NEEDLE))
    for name, compression in (("plain", "raw"), ("LZW", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("runs", "packbits")):
        indexed = save_of(PICTURE.quantize(FEW), compression=compression)
        reds = value(indexed, 320)[:2 * FEW] + (NEEDLE * 40)[:2 * (256 - FEW)]
        files[f"colours of no pixel, {name}"] = with_value(indexed, 320, reds + value(indexed, 320)[512:])
    files["padding of a tile"] = tiled(tile_with_needles())
    second = Image.frombytes("L", (96, 64), (NEEDLE * 300)[:96 * 64])
    files["second page"] = save(save_all=True, append_images=[second])
    told = TiffImagePlugin.ImageFileDirectory_v2()
    told[270] = TEXT
    pages = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(pages) as writer:
        PICTURE.save(writer, "TIFF")
        writer.newFrame()
        PICTURE.save(writer, "TIFF", tiffinfo=told, compression="jpeg")
        writer.newFrame()
    files["description of the second page"] = pages.getvalue()
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[305] = "somebody"
    files["another directory"] = subifd(save(tiffinfo=info))
    for name, tag, kind, told in [("geographic keys", 34737, 2, TEXT), ("model of the ground", 33550, 12, (1.5, 2.5, 3.5)), ("geographic directory", 34735, 3, (1, 1, 0, 0)),
                                  ("date", 306, 2, "2024:05:06 07:08:09 " + "x" * 40 + TEXT), ("page numbers", 297, 2, TEXT), ("halftone", 321, 2, TEXT)]:
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[tag], info.tagtype[tag] = told, kind
        file = save(tiffinfo=info)
        files[name] = file if NEEDLE in file else file + NEEDLE
    profile = save(icc_profile=PROFILE + NEEDLE)
    files["behind the profile"] = profile
    return files


# --- BMP ---------------------------------------------------------------------------------------------

def bmp_places() -> dict[str, bytes]:
    runs = b"".join(b"".join(bytes((1, v)) for v in row) + b"\0\0" for row in np.asarray(PICTURE.convert("L"))[::-1]) + b"\0\1" + NEEDLE
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256))
    head = struct.pack("<IiiHHIIiiII", 40, *PICTURE.size, 1, 8, 1, len(runs), 0, 0, 256, 0)
    packed = b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024) + head + palette + runs
    # 8 bits tell 256 colours apart: what the table has beyond them is no colour of the picture.
    rows = np.pad(np.asarray(PICTURE.convert("L"))[::-1], ((0, 0), (0, -PICTURE.width % 4))).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, *PICTURE.size, 1, 8, 0, len(rows), 0, 0, 356, 0)
    at = 54 + 1024 + 400
    many = b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) + head + palette + (NEEDLE * 20)[:400] + rows
    # The table of a picture of few colours, and what it holds besides; and the same where the pixels are packed.
    few, told = np.asarray(PICTURE.convert("L")) // 64, palette[:16] + (NEEDLE * 50)[:1008]
    bitmap = lambda pixels, bits, packing=0, table=b"", width=PICTURE.width: b"BM" + struct.pack(
        "<IHHI", 54 + len(table) + len(pixels), 0, 0, 54 + len(table)) + struct.pack(
        "<IiiHHIIiiII", 40, width, PICTURE.height, 1, bits, packing, len(pixels), 0, 0, len(table) // 4, 0) + table + pixels
    free = bitmap(few[::-1].astype(np.uint8).tobytes(), 8, table=told)
    packed_rows = b"".join(b"".join(bytes((1, int(v))) for v in row) + b"\0\0" for row in few[::-1])
    packed_free = bitmap(packed_rows + b"\0\1", 8, 1, told)
    # Rows of 93 pixels of three bytes end with one that is nobody's.
    narrow = np.asarray(PICTURE)[::-1, :93, ::-1]
    spread = bitmap(b"".join(row.tobytes() + NEEDLE[n % len(NEEDLE):][:1] for n, row in enumerate(narrow)), 24, width=93)
    # Pixels behind the end of a row, and what fills up a stretch of pixels.
    behind = NEEDLE[:len(NEEDLE) // 2 * 2]
    beyond = bitmap(b"".join(b"".join(bytes((1, int(v))) for v in row) + behind + b"\0\0" for row in few[::-1]) + b"\0\1", 8, 1, palette)
    unmarked = bitmap(packed_rows + NEEDLE, 8, 1, palette)
    # A header of version 5 whose colour space is sRGB; one of OS/2; masks of pixels that need none.
    plain = b"".join(row.tobytes() for row in np.asarray(PICTURE)[::-1, :, ::-1])
    fields = lambda length, rest: b"BM" + struct.pack("<IHHI", 14 + length + len(plain), 0, 0, 14 + length) + (struct.pack(
        "<IiiHHIIiiII", length, *PICTURE.size, 1, 24, 0, len(plain), 0, 0, 0, 0) + rest).ljust(length, b"\0") + plain
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0)
    told = (NEEDLE * 3)[:48]
    gap = many[:46] + struct.pack("<I", 256) + many[50:]
    return {"behind the runs": packed, "more colours than there are": many, "between colours and pixels": gap,
            "colours of no pixel": free, "colours of no pixel, packed": packed_free, "padding of rows": spread, "behind packed rows": beyond,
            "behind runs without a mark": unmarked, "end points of sRGB": fields(124, masks + b"BGRs" + told + struct.pack("<I", 4)),
            "end points of sRGB, version 4": fields(108, masks + b" niW" + told), "header of OS-2": fields(64, told[:24]),
            "masks of no pixel": fields(56, told[:16]), "behind version 5": fields(124, masks + b"BGRs" + bytes(52) + told[:16])}


PLACES = {"jpg": jpeg_places, "png": png_places, "gif": gif_places, "webp": webp_places, "tif": tiff_places, "bmp": bmp_places}


def all_files() -> dict[str, bytes]:
    tidy = lambda place: "".join(c if c.isalnum() else "-" for c in place)
    return {f"{tidy(place)}.{kind}": data for kind, places in PLACES.items() for place, data in places().items()}


# --- looking for it ----------------------------------------------------------------------------------

def inflated(data: bytes):
    """What every stream of zlib's in the bytes holds; PNG's pixels put together."""
    if data.startswith(b"\x89PNG"):
        at, parts = 8, {b"IDAT": b"", b"fdAT": b""}
        while at + 12 <= len(data):
            (length,) = struct.unpack_from(">I", data, at)
            kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + length]
            if kind in parts:
                parts[kind] += body[4:] if kind == b"fdAT" else body
            at += 12 + length
        yield from (unpacked for part in parts.values() for unpacked in inflated(part))
        data = b"".join(data.split(b"IDAT")[:1])
    at = data.find(b"\x78")
    while 0 <= at < len(data) - 2:
        if (data[at] << 8 | data[at + 1]) % 31 == 0:
            try:
                stream = zlib.decompressobj()
                yield stream.decompress(data[at:], 1 << 24)
            except zlib.error:
                pass
        at = data.find(b"\x78", at + 1)


def padding(data: bytes) -> bytes:
    """What fills up the rows of a BMP of 24 bits."""
    if data[:2] != b"BM" or struct.unpack_from("<HI", data, 28) != (24, 0):
        return b""
    at, width = struct.unpack_from("<I", data, 10)[0], struct.unpack_from("<i", data, 18)[0]
    rows = range(at, len(data), (width * 3 + 3) // 4 * 4)
    return b"".join(data[row + width * 3:row + (width * 3 + 3) // 4 * 4] for row in rows)


def found_in(data: bytes) -> bool:
    # A few bytes of it are enough to tell.
    part = NEEDLE[:12]
    return part in data or part in padding(data) or any(part in unpacked for unpacked in inflated(data))
