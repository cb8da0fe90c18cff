"""Metadata: a secret is put in every place a format has, one file each, and looked for in what comes out."""
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

import corpus
from support import tintype

SECRET = b"S3CRET-4711-nobody-may-know"
TEXT = SECRET.decode()
PICTURE = corpus.photo(96, 64, 61)


# --- EXIF: tag -> where it lies --------------------------------------------------------------------

FIRST = {"description": 270, "software": 305, "artist": 315, "host": 316, "xmp": 700, "iptc": 33723, "photoshop": 34377,
         "title": 40091, "comment": 40092, "author": 40093, "keywords": 40094, "subject": 40095, "printim": 50341, "unknown": 65000}
EXIF = {"maker-note": 37500, "user-comment": 37510, "spectral": 34852, "related-sound": 40964, "settings": 41995, "unique-id": 42016,
        "owner": 42032, "serial": 42033, "lens-serial": 42037, "unknown": 65001}
GPS = {"method": 27, "area": 28, "datum": 18, "satellites": 8}


def exif(place: str) -> bytes:
    """An EXIF payload, prefix and all, with the secret in one place among what may stay."""
    tags, (where, name) = corpus.exif(6), place.split(":")
    if where == "first":
        tags[FIRST[name]] = SECRET if FIRST[name] in (700, 34377, 50341, 65000) else TEXT
    elif where == "exif":
        tags.get_ifd(corpus.EXIF_IFD)[EXIF[name]] = SECRET if EXIF[name] in (37500, 37510, 34852, 41995, 65001) else TEXT
    elif where == "gps":
        tags.get_ifd(corpus.GPS_IFD)[GPS[name]] = SECRET if GPS[name] in (27, 28) else TEXT
    elif where == "interop":
        tags.get_ifd(corpus.EXIF_IFD)[0xA005] = {1: "R98", 4096: TEXT}
    elif where == "thumbnail":
        return with_thumbnail(tags.tobytes())
    return tags.tobytes()


def with_thumbnail(payload: bytes) -> bytes:
    """A second directory, of a small JPEG that has a comment of its own."""
    tiff, small = bytearray(payload[6:]), corpus.save(PICTURE.resize((16, 16)), "JPEG", comment=SECRET)
    order = "<" if tiff[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    link = first + 2 + 12 * struct.unpack_from(order + "H", tiff, first)[0]
    struct.pack_into(order + "I", tiff, link, len(tiff))
    at = len(tiff) + 2 + 24 + 4
    tiff += struct.pack(order + "HHHIIHHIII", 2, 513, 4, 1, at, 514, 4, 1, len(small), 0) + small
    return payload[:6] + bytes(tiff)


EXIF_PLACES = [f"first:{n}" for n in FIRST] + [f"exif:{n}" for n in EXIF] + [f"gps:{n}" for n in GPS] + ["interop:", "thumbnail:"]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="52,22N" aux:OwnerName="' + SECRET + b'"/></x:xmpmeta>'
IPTC = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(SECRET) + 5) + b"\x1c\x02\x50" + struct.pack(">H", len(SECRET)) + SECRET
MOVIE = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + SECRET


# --- JPEG ------------------------------------------------------------------------------------------

def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def jpeg_places() -> dict[str, bytes]:
    plain = corpus.save(PICTURE, "JPEG", quality=88)
    inked = corpus.save(PICTURE.convert("CMYK"), "JPEG", quality=88)
    before = lambda *segments: plain[:2] + b"".join(segments) + plain[2:]
    after_jfif = lambda data: plain[:20] + data + plain[20:]
    adobe = inked.index(b"\xff\xee")
    files = {f"exif {p}": before(segment(0xE1, exif(p))) for p in EXIF_PLACES}
    files |= {f"app{n}": after_jfif(segment(0xE0 + n, b"SOMETHING\0" + SECRET)) for n in range(16)}
    return files | {
        "comment": after_jfif(segment(0xFE, SECRET)),
        "second exif": before(segment(0xE1, exif("thumbnail:")), segment(0xE1, exif("exif:owner"))),
        "cut exif": before(segment(0xE1, exif("exif:owner")[:60] + SECRET)),
        "no exif at all": before(segment(0xE1, b"Exif\0\0" + SECRET)),
        "xmp": after_jfif(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)),
        "extended xmp": after_jfif(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", len(XMP), 0) + XMP)),
        "iptc": after_jfif(segment(0xED, IPTC)),
        "mpf": after_jfif(segment(0xE2, b"MPF\0II*\0" + SECRET)) + plain[:2] + segment(0xFE, SECRET) + plain[2:],
        "gain map": after_jfif(segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + SECRET)) + plain[:2] + segment(0xFE, SECRET) + plain[2:],
        "jfif thumbnail": plain[:2] + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\3\3" + SECRET) + plain[20:],
        "jfif extension": after_jfif(segment(0xE0, b"JFXX\0\x10" + SECRET)),
        "long adobe": inked[:adobe] + segment(0xEE, inked[adobe + 4:adobe + 16] + SECRET) + inked[adobe + 16:],
        "motion photo": plain + MOVIE, "trailer": plain + SECRET,
        "between segments": after_jfif(SECRET),
    }


# --- PNG, WebP, GIF, TIFF --------------------------------------------------------------------------

def png_places() -> dict[str, bytes]:
    plain = corpus.save(PICTURE, "PNG")
    early = lambda kind, data: plain[:33] + corpus.chunk(kind, data) + plain[33:]
    late = lambda kind, data: plain[:-12] + corpus.chunk(kind, data) + plain[-12:]
    files = {f"exif {p}": early(b"eXIf", exif(p)[6:]) for p in EXIF_PLACES}
    files["exif with prefix"] = late(b"eXIf", exif("exif:owner"))
    packed = zlib.compress(SECRET, 0)
    for name, kind, data in [
        ("text", b"tEXt", b"Author\0" + SECRET), ("packed text", b"zTXt", b"Author\0\0" + packed),
        ("international text", b"iTXt", b"Author\0\0\0en\0\0" + SECRET), ("xmp", b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        ("packed xmp", b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP, 0)), ("old exif", b"zxIf", SECRET),
        ("raw profile", b"tEXt", b"Raw profile type exif\0" + SECRET), ("private", b"prVt", SECRET), ("provenance", b"caBX", SECRET),
        ("suggested palette", b"sPLT", SECRET + b"\0\x08" + bytes(6)), ("screen", b"vpAg", SECRET), ("apple", b"iDOT", SECRET),
        ("signature", b"dSIG", SECRET)]:
        files[f"{name} before"], files[f"{name} after"] = early(kind, data), late(kind, data)
    return files | {"trailer": plain + SECRET}


def riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def webp_places() -> dict[str, bytes]:
    options = dict(lossless=True)
    plain = corpus.save(PICTURE, "WEBP", exif=exif("exif:serial"), **options)
    files = {f"exif {p}": corpus.save(PICTURE, "WEBP", exif=exif(p), **options) for p in EXIF_PLACES}
    moving = corpus.frames(3, (64, 48), "RGB")
    moving = corpus.save(moving[0], "WEBP", save_all=True, append_images=moving[1:], lossless=True)
    at = moving.index(b"ANMF")
    (size,) = struct.unpack_from("<I", moving, at + 4)
    frame = moving[at + 8:at + 8 + size] + webp_chunk(b"NOTE", SECRET + b"!")
    return files | {
        "xmp": corpus.save(PICTURE, "WEBP", xmp=XMP, **options),
        "unknown": riff(plain[12:] + webp_chunk(b"NOTE", SECRET)),
        "second exif": riff(plain[12:] + webp_chunk(b"EXIF", exif("exif:owner")[6:])),
        "in a frame": riff(moving[12:at] + webp_chunk(b"ANMF", frame) + moving[at + 8 + size + size % 2:]),
        "trailer": plain + SECRET,
    }


def gif_places() -> dict[str, bytes]:
    frames = [f.convert("RGB").quantize(32) for f in corpus.frames(3, (64, 48), "RGB")]
    plain = corpus.save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80, loop=4)
    at = plain.index(b"\x21\xff\x0bNETSCAPE2.0")
    block = lambda head, *parts: b"\x21" + head + b"".join(bytes((len(p),)) + p for p in parts) + b"\0"
    before = lambda data: plain[:at] + data + plain[at:]
    return {
        "comment": before(block(b"\xfe", SECRET)), "late comment": plain[:-1] + block(b"\xfe", SECRET) + b";",
        "xmp": before(b"\x21\xff\x0bXMP DataXMP" + XMP + b"\1" + bytes(range(255, -1, -1)) + b"\0"),
        "iptc": before(block(b"\xff\x0bMGKIPTC0000", SECRET)), "application": before(block(b"\xff\x0bSOMEBODY1.0", SECRET)),
        "caption": before(block(b"\x01", bytes(12), SECRET)), "unknown": before(block(b"\xce", SECRET)),
        "after the loops": plain[:at + 18] + bytes((len(SECRET),)) + SECRET + plain[at + 18:],
        "trailer": plain + SECRET,
    }


TIFF_TAGS = {"document": 269, "description": 270, "page": 285, "software": 305, "artist": 315, "host": 316, "ink-names": 333, "target": 337,
             "clip-path": 343, "xmp": 700, "iptc": 33723, "photoshop": 34377, "layers": 37724, "printim": 50341, "unknown": 65000}


def tiff(info: TiffImagePlugin.ImageFileDirectory_v2 | None = None) -> bytes:
    return corpus.save(PICTURE, "TIFF", tiffinfo=info or {})


def tiff_places() -> dict[str, bytes]:
    files = {}
    for name, tag in TIFF_TAGS.items():
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[tag], info.tagtype[tag] = (TEXT, 2) if tag in (269, 270, 285, 305, 315, 316, 333, 337) else (SECRET, 1 if tag == 343 else 7)
        files[f"tag {name}"] = tiff(info)
    for place in EXIF_PLACES[len(FIRST):-2]:
        data = exif(place)
        files[place.replace(":", " ")] = corpus.save(PICTURE, "TIFF", exif=read_exif(data))
    return files | {"trailer": tiff() + SECRET}


def read_exif(payload: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(payload)
    return tags


def bmp_places() -> dict[str, bytes]:
    files = {}
    for name, image in (("colours", PICTURE), ("palette", PICTURE.quantize(16))):
        plain = corpus.save(image, "BMP")
        (at,) = struct.unpack_from("<I", plain, 10)
        moved = plain[:10] + struct.pack("<I", at + len(SECRET)) + plain[14:at] + SECRET + plain[at:]
        files |= {f"{name} gap": moved, f"{name} trailer": plain + SECRET}
    info = struct.pack("<IiiHHIIiiII", 124, *PICTURE.size, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(16) + b"KNIL" + bytes(48)
    pixels = PICTURE.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGR")
    info += struct.pack("<IIII", 4, 124 + len(pixels), len(SECRET), 0)
    files["linked profile"] = b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(SECRET), 0, 0, 138) + info + pixels + SECRET
    return files


PLACES = {"bmp": bmp_places, "jpg": jpeg_places, "png": png_places, "webp": webp_places, "gif": gif_places, "tif": tiff_places}


def developed(folder, out, rule: str) -> dict[str, dict[str, bytes]]:
    status, lines, err = tintype.process(out, folder, env={"TINTYPE_VARIANTS__METADATA": rule})
    assert status == 0, [line for line in lines if "error" in line] or err
    return {line["original"]["key"]: {v["name"]: (out / v["key"]).read_bytes() for v in line["variants"]}
            | {"manifest": (out / f"image/{line['original']['key']}.manifest.json").read_bytes()} for line in lines}


@pytest.mark.parametrize("kind", PLACES)
def test_no_secret_survives_unless_all_is_kept(tmp_path, kind, say):
    files = {f"{place.replace(' ', '-').replace(':', '-')}.{kind}": data for place, data in PLACES[kind]().items()}
    for name, data in files.items():
        assert SECRET in data, f"{name} holds no secret"
    folder = corpus.write(tmp_path / "in", files)
    for rule in ("private-stripped", "none"):
        made = developed(folder, tmp_path / rule, rule)
        assert set(made) == set(files)
        told = [(name, variant) for name, variants in made.items() for variant, data in variants.items() if SECRET in data]
        assert not told, f"{rule}: {told}"
        for name, variants in made.items():
            before, after = Image.open(io.BytesIO(files[name])), Image.open(io.BytesIO(variants["original"]))
            assert getattr(before, "n_frames", 1) == getattr(after, "n_frames", 1), name
            for frame in range(getattr(after, "n_frames", 1)):
                before.seek(frame)
                after.seek(frame)
                assert np.array_equal(np.asarray(before), np.asarray(after)), (rule, name, frame)
    kept = developed(folder, tmp_path / "keep", "keep")
    assert all(variants["original"] == files[name] for name, variants in kept.items())
    say(f"{len(files)} places, none told")


def test_what_is_public_stays_by_default_and_goes_with_the_rest(tmp_path):
    tags = corpus.exif(6)
    tags[33432] = "A notice of copyright"
    tags.get_ifd(corpus.EXIF_IFD).update({33434: TiffImagePlugin.IFDRational(1, 250), 42036: "A lens"})
    files = {"a.jpg": corpus.save(PICTURE, "JPEG", exif=tags), "a.png": corpus.save(PICTURE, "PNG", exif=tags),
             "a.webp": corpus.save(PICTURE, "WEBP", exif=tags), "a.tif": corpus.save(PICTURE, "TIFF", exif=read_exif(tags.tobytes()))}
    folder = corpus.write(tmp_path / "in", files)
    for rule, stay in (("private-stripped", True), ("none", False)):
        for name, variants in developed(folder, tmp_path / rule, rule).items():
            left = Image.open(io.BytesIO(variants["original"])).getexif()  # loaded, Pillow turns a TIFF and forgets the tag
            inner = left.get_ifd(corpus.EXIF_IFD)
            assert left.get(corpus.ORIENTATION) == 6, (rule, name)
            assert (left.get(0x010F) == "Tintype") == (left.get(33432) == "A notice of copyright") == stay, (rule, name)
            assert (inner.get(42036) == "A lens") == (inner.get(0x9003) == "2024:05:06 07:08:09") == (33434 in inner) == stay, (rule, name)
            assert corpus.SERIAL not in inner and not left.get_ifd(corpus.GPS_IFD), (rule, name)


def test_stripping_twice_is_stripping_once(tmp_path):
    files = {f"{kind}.{kind}": next(iter(places().values())) for kind, places in PLACES.items()}
    once = developed(corpus.write(tmp_path / "in", files), tmp_path / "once", "private-stripped")
    again = {name: variants["original"] for name, variants in once.items()}
    twice = developed(corpus.write(tmp_path / "again", again), tmp_path / "twice", "private-stripped")
    assert {name: variants["original"] for name, variants in twice.items()} == again
