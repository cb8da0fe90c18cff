"""Odd and damaged files, and what an independent decoder makes of them: the pictures that they were made of, Pillow's, libvips's.

`tiffs()` and `bmps()` map a name to bytes and the picture in them; `gifs()`, `jpegs()` and `damaged()` a name to bytes: others are asked
what they show.
"""
import io
import struct
from functools import cache
from itertools import product

import numpy as np
import pyvips
from PIL import Image, ImageFile

import corpus
from corpus import save

WIDTH, HEIGHT = 61, 47
REVERSED = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)


# --- TIFF: a writer that writes any combination of tags ---------------------------------------------

def tiff(tags: dict[int, tuple[int, list]], parts: list[bytes], order: str = "<", tiles: bool = False) -> bytes:
    """One page. A tag is a type (3 SHORT, 4 LONG, 5 RATIONAL) and its values; `parts` are its strips or tiles."""
    data, places = b"", []
    for part in parts:
        places.append(8 + len(data))
        data += part + b"\0" * (len(part) % 2)
    offsets, counts = (324, 325) if tiles else (273, 279)
    tags = tags | {offsets: (4, places), counts: (4, [len(part) for part in parts])}
    directory, behind = struct.pack(order + "H", len(tags)), b""
    at = 8 + len(data)
    end = at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        if kind == 5:
            raw = b"".join(struct.pack(order + "II", round(value * 1000), 1000) for value in values)
        else:
            raw = struct.pack(f"{order}{len(values)}{'HI'[kind - 3]}", *values)
        directory += struct.pack(order + "HHI", tag, kind, len(values))
        if len(raw) <= 4:
            directory += raw.ljust(4, b"\0")
        else:
            directory += struct.pack(order + "I", end + len(behind))
            behind += raw + b"\0" * (len(raw) % 2)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at) + data + directory + b"\0" * 4 + behind


def packed(samples: np.ndarray, bits: int, order: str) -> bytes:
    """Rows x samples of a row, each row beginning with a byte."""
    if bits == 16:
        return samples.astype(order + "u2").tobytes()
    if bits == 8:
        return samples.astype(np.uint8).tobytes()
    each = (samples[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def deflated(raw: bytes) -> bytes:
    import zlib
    return zlib.compress(raw)


def packbits(raw: bytes) -> bytes:
    return b"".join(bytes([len(raw[at:at + 128]) - 1]) + raw[at:at + 128] for at in range(0, len(raw), 128))


def parts(samples: np.ndarray, bits: int, order: str, planar: bool, tile: int, rows: int, predictor: int, pack, fill: int) -> list[bytes]:
    """Strips of `rows` rows, or tiles of `tile` pixels a side; of each plane, or of all samples."""
    planes = [samples[..., c:c + 1] for c in range(samples.shape[2])] if planar else [samples]
    out = []
    for plane in planes:
        height, width, channels = plane.shape
        if tile:
            plane = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)), mode="edge")
            blocks = [plane[y:y + tile, x:x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
        else:
            blocks = [plane[y:y + rows] for y in range(0, height, rows)]
        for block in blocks:
            block = block.astype(np.int64)
            if predictor == 2:
                block = np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1) % (1 << bits)
            raw = pack(packed(block.reshape(len(block), -1), bits, order))
            out.append(REVERSED[np.frombuffer(raw, np.uint8)].tobytes() if fill == 2 else raw)
    return out


PACKS = {1: bytes, 8: deflated, 32773: packbits}


def sample_picture(channels: int, bits: int) -> np.ndarray:
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    picture = np.asarray(corpus.photo(WIDTH, HEIGHT, 60 + channels, mode)).reshape(HEIGHT, WIDTH, channels).astype(np.int64)
    return (picture * ((1 << bits) - 1) + 127) // 255


def made(colour: int, channels: int, bits: int, *, extra: int | None = None, order: str = "<", planar: bool = False, tile: int = 0,
         how: int = 1, predictor: int = 1, fill: int = 1, more: dict | None = None) -> tuple[bytes, Image.Image]:
    """A TIFF of these tags and the picture in it."""
    samples = sample_picture(channels, bits)
    levels = ((samples * 255 + ((1 << bits) - 1) // 2) // ((1 << bits) - 1)).astype(np.uint8)
    stored, tags = samples, {}
    if colour == 0:
        stored = (1 << bits) - 1 - samples
    if colour == 3:
        table = [(n * 37 % 256, n * 101 % 256, n * 7 % 256) for n in range(1 << bits)]
        tags[320] = (3, [table[n][c] * 257 for c in range(3) for n in range(1 << bits)])
        levels = np.array(table, np.uint8)[samples[..., 0]]
    if colour == 6:
        stored = np.asarray(Image.fromarray(levels, "RGB").convert("YCbCr")).astype(np.int64)
        tags |= {529: (5, [0.299, 0.587, 0.114]), 530: (3, [1, 1]), 532: (5, [0, 255, 128, 255, 128, 255])}
    if extra == 1:  # associated: multiplied by alpha
        full = (1 << bits) - 1
        stored = samples.copy()
        stored[..., :-1] = (samples[..., :-1] * samples[..., -1:] + full // 2) // full
    if extra == 0:  # nobody knows what it is
        levels = levels[..., :-1]
    tags |= {256: (4, [WIDTH]), 257: (4, [HEIGHT]), 258: (3, [bits] * channels), 259: (3, [how]), 262: (3, [colour]), 277: (3, [channels])}
    tags |= {322: (3, [tile]), 323: (3, [tile])} if tile else {278: (3, [10])}
    tags |= {284: (3, [2])} if planar else {}
    tags |= {317: (3, [predictor])} if predictor != 1 else {}
    tags |= {266: (3, [fill])} if fill != 1 else {}
    tags |= {338: (3, [extra])} if extra is not None else {}
    pieces = parts(stored, bits, order, planar, tile, 10, predictor if how != 32773 else 1, PACKS[how], fill)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[levels.shape[2]]
    return tiff(tags | (more or {}), pieces, order, bool(tile)), Image.fromarray(levels.squeeze(2) if mode == "L" else levels, mode)


@cache
def tiffs() -> dict[str, tuple[bytes, Image.Image]]:
    out = {}
    for bits, colour, fill, order in product((1, 2, 4, 8, 16), (0, 1), (1, 2), "<>"):
        out[f"grey{bits}-{colour}-fill{fill}-{'be'[order == '<']}"] = made(colour, 1, bits, fill=fill, order=order)
    for bits, fill, how in product((1, 2, 4, 8), (1, 2), PACKS):
        out[f"palette{bits}-fill{fill}-pack{how}"] = made(3, 1, bits, fill=fill, how=how)
    for bits, planar, tile, how, predictor in product((8, 16), (False, True), (0, 16), (1, 8), (1, 2)):
        if predictor == 1 or how == 8:
            name = f"rgb{bits}{'-planar' * planar}{'-tiles' * bool(tile)}-pack{how}-predictor{predictor}"
            out[name] = made(2, 3, bits, planar=planar, tile=tile, how=how, predictor=predictor)
    for channels, extra, planar, how, predictor in product((2, 4), (None, 0, 1, 2), (False, True), (1, 8), (1, 2)):
        if predictor == 1 or how == 8:
            name = f"{'grey' if channels == 2 else 'rgb'}-extra{extra}{'-planar' * planar}-pack{how}-predictor{predictor}"
            out[name] = made(1 if channels == 2 else 2, channels, 8, extra=extra, planar=planar, how=how, predictor=predictor)
    for fill, how, planar in product((1, 2), PACKS, (False, True)):
        out[f"rgb-fill{fill}-pack{how}{'-planar' * planar}"] = made(2, 3, 8, fill=fill, how=how, planar=planar)
    # A predictor that nothing heeds, for PackBits has none; and of a palette of 8 bits.
    out["idle-predictor"] = made(2, 3, 8, how=32773, predictor=2)
    out["ycbcr"] = made(6, 3, 8)
    return {f"{name}.tif": file for name, file in out.items()}


@cache
def refused() -> dict[str, bytes]:
    """What is another picture if its tags are passed over: refused, never guessed."""
    grey = lambda more: made(1, 1, 8, more=more)[0]
    rgb = lambda more: made(2, 3, 8, more=more)[0]
    return {f"{name}.tif": data for name, data in {
        "signed": grey({339: (3, [2])}), "floats": made(1, 1, 16, more={339: (3, [3])})[0], "void": grey({339: (3, [4])}),
        "mask": grey({262: (3, [4])}), "lab": rgb({262: (3, [8])}), "icc-lab": rgb({262: (3, [9])}), "cfa": grey({262: (3, [32803])}),
        "raw": grey({262: (3, [34892])}), "subsampled": made(6, 3, 8, more={530: (3, [2, 2])})[0],
        "subsampled-by-default": rgb({262: (3, [6])}), "studio-range": made(6, 3, 8, more={532: (5, [15, 235, 128, 240, 128, 240])})[0],
        "bt709": made(6, 3, 8, more={529: (5, [0.2126, 0.7152, 0.0722])})[0], "5-6-5": rgb({258: (3, [5, 6, 5])}),
        "12-bit": made(1, 1, 16, more={258: (3, [12])})[0], "6-bit": grey({258: (3, [6])}), "float-predictor": made(1, 1, 8, how=8, more={317: (3, [3])})[0],
        "inks": made(5, 4, 8, more={332: (3, [2])})[0], "fax": made(1, 1, 1, more={259: (3, [3])})[0], "lzma": grey({259: (3, [34925])}),
        "zstd": grey({259: (3, [50000])}), "old-jpeg": rgb({259: (3, [6])}), "two-extras": made(1, 3, 8, more={338: (3, [0, 0])})[0],
    }.items()}


# --- BMP: a writer that writes any combination of what headers say -----------------------------------

def bmp(rows: list[bytes], bits: int, size: tuple[int, int] = (WIDTH, HEIGHT), *, packing: int = 0, table: bytes = b"", masks: bytes = b"",
        top_down: bool = False, old: bool = False, header: int = 40, end: bytes = b"") -> bytes:
    """`rows` from the top, less their padding; packed ones as they are."""
    stored = [row if packing in (1, 2) else row + b"\0" * (-len(row) % 4) for row in (rows if top_down else rows[::-1])]
    pixels, (width, height) = b"".join(stored) + end, size
    if old:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        colours = len(table) // 4 if bits <= 8 else 0
        head = struct.pack("<IiiHHIIiiII", header, width, -height if top_down else height, 1, bits, packing, len(pixels), 0, 0, colours, 0)
        head = (head + masks).ljust(header, b"\0") if header > 40 else head + masks
    at = 14 + len(head) + len(table)
    return b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at) + head + table + pixels


def runs(row: np.ndarray, bits: int) -> bytes:
    """A row as both kinds of runs: what is equal, and what is not."""
    pack = (lambda part: bytes(part)) if bits == 8 else (lambda part: packed(np.array([part]), 4, "<"))
    out, at = b"", 0
    while at < len(row):
        same = at + 1
        while same < len(row) and row[same] == row[at] and same - at < 255:
            same += 1
        if same - at > 2 or len(row) - at < 3:
            value = int(row[at])
            out += bytes((same - at, value if bits == 8 else value * 17))
            at = same
            continue
        part = list(map(int, row[at:at + 7]))
        data = pack(part)
        out += bytes((0, len(part))) + data + b"\0" * (len(data) % 2) if len(part) > 2 else b"".join(
            bytes((1, value if bits == 8 else value * 17)) for value in part)
        at += len(part)
    return out + b"\0\0"


@cache
def bmps() -> dict[str, tuple[bytes, Image.Image]]:
    rgba = np.asarray(corpus.photo(WIDTH, HEIGHT, 90, "RGBA"))
    rgb, grey, out = rgba[..., :3], np.asarray(corpus.photo(WIDTH, HEIGHT, 91, "L")), {}
    colours = lambda bits: np.array([(n * 37 % 256, n * 101 % 256, (n * 7 + 40) % 256) for n in range(1 << bits)], np.uint8)
    for bits, top_down, old in product((1, 4, 8), (False, True), (False, True)):
        if not (top_down and old):
            indices, table = grey >> (8 - bits), colours(bits)
            entries = b"".join(bytes(colour[::-1]) + b"\0" * (not old) for colour in table)
            data = bmp([packed(row[None], bits, "<") for row in indices], bits, table=entries, top_down=top_down, old=old)
            out[f"palette{bits}{'-down' * top_down}{'-old' * old}"] = data, Image.fromarray(table[indices])
    few = colours(8)[:40]
    entries = b"".join(bytes(colour[::-1]) + b"\0" for colour in few)
    out["palette8-few"] = bmp([bytes(row // 7) for row in grey], 8, table=entries), Image.fromarray(few[grey // 7])
    # Flat stretches, so that there are runs of both kinds.
    flat = np.asarray(corpus.photo(WIDTH, HEIGHT, 92, "L")) // 32 * 2
    for bits, packing in ((8, 1), (4, 2)):
        table = colours(4)
        entries = b"".join(bytes(colour[::-1]) + b"\0" for colour in table)
        data = bmp([runs(row, bits) for row in flat], bits, packing=packing, table=entries, end=b"\0\1")
        out[f"runs{bits}"] = data, Image.fromarray(table[flat])
    for name, (r, g, b), packing in (("555", (5, 5, 5), 0), ("565", (5, 6, 5), 3), ("444", (4, 4, 4), 3)):
        parts = [rgb[..., c].astype(np.int64) >> (8 - n) for c, n in enumerate((r, g, b))]
        words = parts[0] << (g + b) | parts[1] << b | parts[2]
        masks = struct.pack("<III", (1 << r) - 1 << (g + b), (1 << g) - 1 << b, (1 << b) - 1) if packing else b""
        levels = [(part * 255 + ((1 << n) - 1) // 2) // ((1 << n) - 1) for part, n in zip(parts, (r, g, b))]
        out[f"rgb{name}"] = bmp([row.astype("<u2").tobytes() for row in words], 16, packing=packing, masks=masks), \
            Image.fromarray(np.stack(levels, -1).astype(np.uint8))
    picture = Image.fromarray(rgb)
    for top_down, old in ((False, False), (True, False), (False, True)):
        out[f"rgb24{'-down' * top_down}{'-old' * old}"] = bmp([row[:, ::-1].tobytes() for row in rgb], 24, top_down=top_down, old=old), picture
    void = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    out["rgb32"] = bmp([row.tobytes() for row in np.concatenate([rgb[..., ::-1], void], -1)], 32), picture
    masks = struct.pack("<III", 0xFF, 0xFF00, 0xFF0000)
    out["rgb32-masks"] = bmp([row.tobytes() for row in np.concatenate([rgb, void], -1)], 32, packing=3, masks=masks), picture
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    out["rgba32"] = bmp([row[:, [2, 1, 0, 3]].tobytes() for row in rgba], 32, packing=3, masks=masks, header=108), Image.fromarray(rgba)
    return {f"{name}.bmp": file for name, file in out.items()}


# --- GIF and JPEG -----------------------------------------------------------------------------------

@cache
def gifs() -> dict[str, bytes]:
    """Stills that begin where others do not: interlaced, beside the corner, with a table of their own, with holes, with few colours."""
    picture = corpus.photo(WIDTH, HEIGHT, 93)
    out = {f"colours{n}": save(picture.quantize(n), "GIF", interlace=n % 3 == 0) for n in (2, 3, 6, 16, 33, 255, 256)}
    plain = save(picture.quantize(64), "GIF", interlace=0)
    at = plain.index(b"\x2c" + struct.pack("<4H", 0, 0, WIDTH, HEIGHT))
    table = 3 << ((plain[10] & 7) + 1)
    assert plain[10] & 0x80 and not plain[at + 9] & 0x80
    # The table moves to the image; then a wider screen, with the image amid it.
    own = plain[:10] + bytes((plain[10] & 0x7F,)) + plain[11:13] + plain[13 + table:at + 9] + \
        bytes((plain[at + 9] | 0x80 | plain[10] & 7,)) + plain[13:13 + table] + plain[at + 10:]
    out["own-table"] = own
    wide = bytearray(plain)
    struct.pack_into("<HH", wide, 6, WIDTH + 20, HEIGHT + 10)
    struct.pack_into("<HH", wide, at + 1, 7, 5)
    out["amid-its-screen"] = bytes(wide)
    out["holes"] = save(picture.quantize(16), "GIF", transparency=3)
    return {f"{name}.gif": data for name, data in out.items()}


@cache
def jpegs() -> dict[str, bytes]:
    rgb, grey = corpus.photo(WIDTH, HEIGHT, 94), corpus.photo(WIDTH, HEIGHT, 95, "L")
    out = {f"sampled-{how}": corpus.cjpeg(rgb, "-sample", how) for how in ("1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "3x1", "1x1,2x2,1x1")}
    out |= {"progressive": corpus.cjpeg(rgb, "-progressive"), "restarts": corpus.cjpeg(rgb, "-restart", "2B"), "rgb": corpus.cjpeg(rgb, "-rgb"),
            "restarts-progressive": corpus.cjpeg(rgb, "-restart", "2B", "-progressive"), "optimized": corpus.cjpeg(rgb, "-optimize"),
            "smoothed": corpus.cjpeg(rgb, "-smooth", "50"), "poor": corpus.cjpeg(rgb, "-quality", "4"), "grey": save(grey, "JPEG", quality=85),
            "grey-sampled": corpus.cjpeg(rgb, "-grayscale", "-sample", "2x2"), "cmyk": save(corpus.photo(WIDTH, HEIGHT, 96, "CMYK"), "JPEG")}
    return {f"{name}.jpg": data for name, data in out.items()}


# --- Damage ------------------------------------------------------------------------------------------

@cache
def whole() -> dict[str, bytes]:
    """Small, and one of each way in which data lies in a file."""
    rgb, grey, clear = corpus.photo(96, 80, 70), corpus.photo(96, 80, 71, "L"), corpus.photo(96, 80, 72, "RGBA")
    frames = [corpus.photo(96, 80, 73 + n) for n in range(4)]
    return {
        "baseline.jpg": save(rgb, "JPEG", quality=85), "grey.jpg": save(grey, "JPEG", quality=85),
        "restart.jpg": save(rgb, "JPEG", quality=85, restart_marker_blocks=3), "progressive.jpg": save(rgb, "JPEG", quality=85, progressive=True),
        "444.jpg": save(rgb, "JPEG", quality=85, subsampling=0), "rgb.png": save(rgb, "PNG"),
        "interlaced.png": corpus.png(np.asarray(rgb), 8, 2, True), "wide-interlaced.png": corpus.png(np.asarray(clear).astype(np.uint16) * 257, 16, 6, True),
        "rgba.png": save(clear, "PNG"),
        "palette.png": save(rgb.quantize(64), "PNG"), "still.gif": save(rgb.quantize(64), "GIF"), "interlaced.gif": save(rgb.quantize(64), "GIF", interlace=1),
        "animated.gif": save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=0),
        "lossy.webp": save(rgb, "WEBP", quality=80), "lossless.webp": save(rgb, "WEBP", lossless=True), "rgb.bmp": save(rgb, "BMP"),
        "palette.bmp": save(rgb.quantize(200), "BMP"), "none.tif": save(rgb, "TIFF"), "lzw.tif": save(rgb, "TIFF", compression="tiff_lzw"),
        "deflate.tif": save(rgb, "TIFF", compression="tiff_adobe_deflate"),
    } | {name: bmps()[name][0] for name in ("palette1.bmp", "palette4.bmp", "palette4-old.bmp", "rgb555.bmp", "rgb565.bmp", "runs8.bmp", "runs4.bmp")}


@cache
def damaged() -> dict[str, bytes]:
    out = {}
    for name, data in whole().items():
        for percent in (35, 55, 70, 85, 93, 99):
            out[f"cut{percent}-{name}"] = data[: len(data) * percent // 100]
        for n, at in enumerate(np.linspace(.4, .95, 6)):
            place = int(len(data) * at)
            out[f"zeros{n}-{name}"] = data[:place] + bytes(24) + data[place + 24:]
            out[f"gap{n}-{name}"] = data[:place] + data[place + 60:]
            out[f"flip{n}-{name}"] = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1:]
        out[f"no-end-{name}"] = data[: -{"jpg": 2, "png": 12, "gif": 1}.get(name.rpartition(".")[2], 4)]
    return out


def by_pillow(data: bytes) -> Image.Image | None:
    """What Pillow shows of a file, damaged or not; none where it gives up."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
        return image
    except (OSError, SyntaxError, ValueError, struct.error, IndexError, TypeError, Image.DecompressionBombError):
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def by_vips(data: bytes) -> Image.Image | None:
    """What libvips shows of a file, damaged or not, in sRGB of 8 bits; none where it gives up."""
    try:
        image = pyvips.Image.new_from_buffer(data, "", fail_on="none", access="random").autorot()
        if image.get_typeof("icc-profile-data"):
            image = image.icc_transform("srgb", embedded=True)
        image = image.colourspace("srgb").cast("uchar")
        pixels = np.ndarray((image.height, image.width, image.bands), np.uint8, image.write_to_memory())
    except pyvips.Error:
        return None
    return Image.fromarray(pixels.squeeze(2) if image.bands == 1 else pixels)
