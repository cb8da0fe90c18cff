"""Colours: every space becomes the sRGB that littleCMS makes of it, and alpha never shows what it hides."""
import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

import corpus
from support import profiles, tintype
from support.pillow import opened, rgba

SRGB = ImageCms.createProfile("sRGB")
SIZE = (240, 150)  # inside the largest box: its variant has every pixel


def developed(tmp_path, files: dict[str, bytes]) -> dict[str, dict[str, Image.Image]]:
    """File name -> variant name -> image."""
    folder, out = corpus.write(tmp_path / "in", files), tmp_path / "out"
    status, lines, err = tintype.process(out, folder)
    assert status == 0 and len(lines) == len(files), err
    return {line["original"]["key"]: {v["name"]: opened((out / v["key"]).read_bytes()) for v in line["variants"]} for line in lines}


def by_lcms(image: Image.Image, icc: bytes) -> np.ndarray:
    """Relative to white: by its perceptual intent littleCMS would move black too, as its own sRGB is of version 4."""
    source, intent = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.Intent.RELATIVE_COLORIMETRIC
    transform = ImageCms.buildTransform(source, SRGB, image.mode, "RGB", renderingIntent=intent)
    return np.asarray(ImageCms.applyTransform(image, transform)).astype(int)


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


def assert_near(what: str, got: np.ndarray, want: np.ndarray, most: int, mean: float, share: float = 100) -> str:
    """`share` percent of the samples are no more than `most` off."""
    off = np.abs(got - want)
    said = f"{what}: off by {off.mean():.2f} levels, {share:g}% by {np.percentile(off, share):g} at most"
    assert np.percentile(off, share) <= most and off.mean() <= mean, said
    return said


def vivid(mode: str = "RGB") -> Image.Image:
    """Every hue, at every depth: what a wide gamut has and a photo has little of."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    planes = [127.5 + 127.5 * np.sin(6.3 * x + shift) * (.3 + .7 * y) for shift in (0, 2.1, 4.2)]
    image = Image.fromarray(np.stack(planes, -1).round().astype(np.uint8), "RGB")
    return image if mode == "RGB" else image.convert(mode)


WIDE = {"p3": profiles.DISPLAY_P3, "adobe": profiles.ADOBE_RGB, "prophoto": profiles.PROPHOTO, "table": profiles.RGB_TABLE}


def test_wide_gamut_looks_as_littlecms_has_it(tmp_path, say):
    pictures = {"vivid": vivid(), "photo": corpus.photo(*SIZE, 51)}
    files, want = {}, {}
    for kind, how in (("PNG", {}), ("TIFF", dict(compression="tiff_lzw")), ("WEBP", dict(lossless=True))):
        for space, icc in WIDE.items():
            for name, picture in pictures.items():
                key = f"{name}-{space}.{kind.lower()}"
                files[key] = corpus.save(picture, kind, icc_profile=icc, **how)
                want[key] = by_lcms(picture, icc)
    for key, variants in developed(tmp_path, files).items():
        assert "icc_profile" not in variants["400x400"].info and "icc_profile" in variants["original"].info, key
        # where a table leaves sRGB, littleCMS is up to 14 levels from littleCMS without its own shortcuts
        share = 99 if "-table" in key else 100
        said = assert_near(key, levels(variants["400x400"]), want[key], most=2, mean=.3, share=share)
        if key.endswith(".png"):
            say(said)
        assert np.abs(levels(variants["original"]) - want[key]).mean() > 2, f"{key} proves nothing"


def test_inks_with_a_profile_and_without(tmp_path, say):
    inks = corpus.photo(*SIZE, 52, "CMYK")
    files = {"bare.tif": corpus.save(inks, "TIFF"), "bare.jpg": corpus.save(inks, "JPEG", quality=100, subsampling=0),
             "press.tif": corpus.save(inks, "TIFF", icc_profile=profiles.CMYK_TABLE),
             "press.jpg": corpus.save(inks, "JPEG", quality=100, subsampling=0, icc_profile=profiles.CMYK_TABLE)}
    made = developed(tmp_path, files)
    c, m, y, k = (np.asarray(plane).astype(float) for plane in inks.split())
    plain = np.stack([(255 - ink) * (255 - k) / 255 for ink in (c, m, y)], -1)
    press = by_lcms(inks, profiles.CMYK_TABLE)
    for key, want, most, mean in (("bare.tif", plain, 1, .5), ("press.tif", press, 2, .3), ("bare.jpg", plain, 20, 3), ("press.jpg", press, 20, 3)):
        say(assert_near(key, levels(made[key]["400x400"]), want, most, mean))


def test_inks_are_read_by_the_table_that_browsers_take(tmp_path):
    """The perceptual one; where there is none, the one that there is."""
    inks = corpus.photo(*SIZE, 52, "CMYK")
    spaces = {"relative": profiles.CMYK_RELATIVE, "both": profiles.CMYK_BOTH}
    made = developed(tmp_path, {f"{name}.tif": corpus.save(inks, "TIFF", icc_profile=icc) for name, icc in spaces.items()})
    press = by_lcms(inks, profiles.CMYK_TABLE)
    for name in spaces:
        assert_near(name, levels(made[f"{name}.tif"]["400x400"]), press, 2, .3)


def test_grey_profiles(tmp_path):
    grey = corpus.photo(*SIZE, 53, "L")
    files = {"grey.png": corpus.save(grey, "PNG", icc_profile=profiles.GREY_18),
             "grey.tif": corpus.save(grey, "TIFF", icc_profile=profiles.GREY_18),
             "mismatch.png": corpus.save(grey, "PNG", icc_profile=profiles.ADOBE_RGB)}
    want = by_lcms(grey, profiles.GREY_18)
    made = developed(tmp_path, files)
    for key in ("grey.png", "grey.tif"):
        assert made[key]["400x400"].mode == "L"
        assert_near(key, levels(made[key]["400x400"]), want, most=2, mean=.6)
    assert np.array_equal(levels(made["mismatch.png"]["400x400"]), levels(grey))


def test_broken_profiles_are_ignored(tmp_path):
    picture, icc = corpus.photo(*SIZE, 54), profiles.DISPLAY_P3
    broken = {"cut": icc[:200], "noise": np.random.default_rng(55).bytes(600), "text": b"no profile at all",
              "lies": icc[:128] + b"\xff" * 60 + icc[188:], "inks": profiles.CMYK_TABLE, "grey": profiles.GREY_18}
    files = {f"{name}.{kind}": corpus.save(picture, kind, icc_profile=data) for name, data in broken.items() for kind in ("png", "tiff")}
    for key, variants in developed(tmp_path, files).items():
        assert np.array_equal(levels(variants["400x400"]), levels(picture)), key


def test_sixteen_bits_are_rounded(tmp_path):
    deep = np.random.default_rng(56).integers(0, 65536, (SIZE[1], SIZE[0], 3))
    files = {"rgb.png": corpus.png(deep, 16, 2), "grey.png": corpus.png(deep[..., :1], 16, 0),
             "interlaced.png": corpus.png(deep, 16, 2, interlaced=True),
             "grey.tif": corpus.save(Image.fromarray(deep[..., 0].astype(np.uint16)), "TIFF")}
    for key, variants in developed(tmp_path, files).items():
        want = (deep if key in ("rgb.png", "interlaced.png") else np.repeat(deep[..., :1], 3, -1)) / 257
        off = np.abs(levels(variants["400x400"]) - want)
        assert off.max() <= .5, (key, off.max())  # 0.996 where the low byte is cut off


# --- PNG without a profile: gAMA, cHRM, sRGB, cICP --------------------------------------------------

CHRM_P3 = corpus.chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))


def gama(value: float) -> bytes:
    return corpus.chunk(b"gAMA", struct.pack(">I", round(value * 100000)))


def cicp(primaries: int, transfer: int, full: int = 1) -> bytes:
    return corpus.chunk(b"cICP", bytes((primaries, transfer, 0, full)))


SRGB_CHUNK = corpus.chunk(b"sRGB", b"\0")


def encoded(light: np.ndarray) -> np.ndarray:
    """Linear light as sRGB levels."""
    return 255 * np.where(light <= .0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - .055)


def test_gamma_and_primaries_of_png(tmp_path):
    picture = vivid()
    raw = np.asarray(picture)
    same, p3 = raw.astype(int), by_lcms(picture, profiles.DISPLAY_P3)
    curved = lambda exponent: encoded((raw / 255) ** exponent)
    cases = {"gama-srgb": (gama(.45455), same), "gama-linear": (gama(1), curved(1)), "gama-18": (gama(1 / 1.8), curved(1.8)),
             "gama-overruled": (gama(1) + SRGB_CHUNK, same), "chrm": (CHRM_P3, p3), "chrm-gama-srgb": (gama(.45455) + CHRM_P3, p3),
             "chrm-overruled": (CHRM_P3 + SRGB_CHUNK, same), "cicp-srgb": (cicp(1, 13) + gama(1), same), "cicp-709": (cicp(1, 1), same),
             "cicp-p3": (cicp(12, 13), p3), "cicp-linear": (cicp(1, 8), curved(1)), "cicp-pq": (cicp(9, 16), same),
             "cicp-narrow": (cicp(12, 13, 0), same), "gama-zero": (gama(0), same), "chrm-nonsense": (corpus.chunk(b"cHRM", b"\xff" * 32), same)}
    files = {f"{name}.png": corpus.png(raw, 8, 2, extra=chunks) for name, (chunks, _) in cases.items()}
    for key, variants in developed(tmp_path, files).items():
        assert_near(key, levels(variants["400x400"]), cases[key.removesuffix(".png")][1], most=2, mean=.6)


def test_grey_png_with_gamma(tmp_path):
    raw = np.asarray(vivid("L"))
    made = developed(tmp_path, {"grey.png": corpus.png(raw[..., None], 8, 0, extra=gama(1))})["grey.png"]["400x400"]
    assert made.mode == "L"
    assert_near("grey", np.asarray(made).astype(int), encoded(raw / 255), most=2, mean=.6)


def test_gif_with_a_profile(tmp_path):
    picture = vivid().quantize(60, dither=Image.Dither.NONE)
    data = corpus.save(picture, "GIF")
    at = 13 + (3 << ((data[10] & 7) + 1))
    parts = b"".join(bytes((len(p),)) + p for p in (profiles.DISPLAY_P3[i:i + 255] for i in range(0, len(profiles.DISPLAY_P3), 255)))
    tagged = data[:at] + b"\x21\xff\x0bICCRGBG1012" + parts + b"\0" + data[at:]
    made = developed(tmp_path, {"tagged.gif": tagged})["tagged.gif"]
    assert_near("gif", levels(made["400x400"]), by_lcms(picture.convert("RGB"), profiles.DISPLAY_P3), most=2, mean=.6)


# --- alpha -----------------------------------------------------------------------------------------

def disc(size: int = 240, inside=(255, 0, 0, 255), outside=(0, 255, 0, 0)) -> Image.Image:
    """A red disc on green that cannot be seen."""
    image = Image.new("RGBA", (size, size), outside)
    large = Image.new("L", (size * 4, size * 4), 0)
    ImageDraw.Draw(large).ellipse((size, size, size * 3, size * 3), fill=255)
    alpha = np.asarray(large.resize((size, size), Image.Resampling.BOX))
    pixels = np.asarray(image).copy()
    pixels[alpha > 0] = inside
    pixels[..., 3] = alpha
    return Image.fromarray(pixels, "RGBA")


def associated(image: Image.Image) -> bytes:
    """A TIFF whose colours are stored multiplied by alpha, and which says so."""
    pixels = np.asarray(image).astype(float)
    pixels[..., :3] *= pixels[..., 3:] / 255
    data = bytearray(corpus.save(Image.fromarray(pixels.round().astype(np.uint8), "RGBA"), "TIFF"))
    at = data.index(struct.pack("<HHI", 338, 3, 1)) + 8
    assert data[at] == 2
    data[at] = 1
    return bytes(data)


def bmp(image: Image.Image) -> bytes:
    """Version 4, whose masks say that the fourth byte is alpha."""
    r, g, b, a = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).split()
    pixels = Image.merge("RGBA", (b, g, r, a)).tobytes()
    info = struct.pack("<IiiHHIIiiII4I", 108, *image.size, 1, 32, 3, len(pixels), 2835, 2835, 0, 0, 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    return b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + info + b"BGRs" + bytes(48) + pixels


def alpha_files() -> dict[str, bytes]:
    soft = disc()
    hard = Image.fromarray(np.where(np.asarray(soft)[..., 3:] > 127, (255, 0, 0, 255), (0, 255, 0, 0)).astype(np.uint8), "RGBA")
    flat = np.asarray(hard)
    keyed = flat[..., :3].copy()
    index = (flat[..., 3] == 0).astype(np.uint8)
    palette = corpus.chunk(b"PLTE", bytes((255, 0, 0, 0, 255, 0))) + corpus.chunk(b"tRNS", b"\xff\0")
    plane = Image.fromarray(index)
    plane.putpalette([255, 0, 0, 0, 255, 0])
    second = disc().transpose(Image.Transpose.TRANSPOSE)
    moving = dict(save_all=True, append_images=[second], duration=90)
    return {
        "rgba.png": corpus.save(soft, "PNG"), "large.png": corpus.save(disc(1200), "PNG", compress_level=1),
        "rgba16.png": corpus.png(np.asarray(soft).astype(int) * 257, 16, 6),
        "profile.png": corpus.save(soft, "PNG", icc_profile=profiles.matrix((.43607, .22249, .01392), (.38515, .71687, .09708),
                                                                             (.14307, .06061, .7141), profiles.gamma(1.4))),
        "keyed.png": corpus.png(keyed, 8, 2, extra=corpus.chunk(b"tRNS", struct.pack(">3H", 0, 255, 0))),
        "palette.png": corpus.png(index[..., None], 8, 3, extra=palette),
        "moving.png": corpus.save(soft, "PNG", **moving), "still.gif": corpus.save(plane, "GIF", transparency=1),
        "lossless.webp": corpus.save(soft, "WEBP", lossless=True, exact=True), "lossy.webp": corpus.save(soft, "WEBP", quality=90),
        "moving.webp": corpus.save(soft, "WEBP", lossless=True, exact=True, **moving),
        "unassociated.tif": corpus.save(soft, "TIFF"), "associated.tif": associated(soft), "v4.bmp": bmp(soft),
    }


def test_no_rim_shows_what_alpha_hides(tmp_path, say):
    files, worst = alpha_files(), {}
    for key, variants in developed(tmp_path, files).items():
        limit = 5
        for variant, image in variants.items():
            pixels = np.asarray(rgba(image)).astype(float)
            alpha = pixels[..., 3] / 255
            assert alpha.max() > .2 and alpha.min() < .2, (key, variant)
            # on black, green and blue are what shines through that never should; red must be all there
            seen = pixels[..., :3] * alpha[..., None]
            green, lost = seen[..., 1].max(), (255 * alpha - seen[..., 0]).max()
            worst[key, variant] = green
            if variant != "original":
                assert green <= limit and lost <= limit, (key, variant, green, lost)
            elif key == "lossy.webp":
                limit = max(green, lost) * 1.3  # half the colour samples: red itself runs over the edge
    assert np.asarray(opened(files["rgba.png"]))[0, 0].tolist() == [0, 255, 0, 0], "proves nothing"
    say(f"{len(worst)} variants with alpha: green that shines through, at most {max(v for (k, _), v in worst.items() if k != 'lossy.webp'):.1f} "
        f"levels; lossy WebP {max(v for (k, _), v in worst.items() if k == 'lossy.webp'):.1f}")


@pytest.mark.parametrize("name", ["associated.tif", "unassociated.tif"])
def test_associated_alpha_is_told_from_the_other(tmp_path, name):
    half = Image.new("RGBA", SIZE, (200, 100, 50, 128))
    data = associated(half) if name == "associated.tif" else corpus.save(half, "TIFF")
    made = np.asarray(developed(tmp_path, {name: data})[name]["400x400"].convert("RGBA")).reshape(-1, 4)
    assert np.abs(made.astype(int) - (200, 100, 50, 128)).max() <= 1, made[0]
