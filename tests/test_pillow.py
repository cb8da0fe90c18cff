"""`tintype process` held against Pillow: sizes to the pixel, levels to within a few."""
import io
import json

import numpy as np
import pytest
from PIL import Image

import corpus
from conftest import DATA
from support import tintype
from support.pillow import BOXES, difference, expected_sizes, opened, play, rgba, thumbnail, upright

SHAPES = [(1, 1), (1, 2), (2, 1), (3, 2), (2, 3), (1, 49), (1, 51), (49, 50), (50, 50), (51, 50), (50, 51), (51, 51), (37, 41), (99, 100),
          (101, 100), (101, 99), (100, 1), (1, 5000), (5000, 1), (3, 4999), (4999, 7), (399, 400), (400, 400), (401, 400), (401, 401), (399, 401),
          (640, 480), (480, 640), (799, 601), (801, 3), (1023, 769), (1000, 999), (999, 1000), (333, 777), (777, 333), (1279, 721), (1601, 1199),
          (1999, 13), (13, 1999), (2048, 1537), (853, 480), (16, 9), (17, 15), (4160, 3120), (3120, 4160), (257, 255)]
# mean levels a thumbnail may be off: palettes dither, WebP is lossy, CMYK has no one true conversion, and the
# overshoot at black-and-white dots is cut between two passes, which come in another order
TOLERANCE = {"bilevel": 5, ".gif": 10, ".webp": 5, "cmyk": 25, "ycck": 25}


def tolerance(name: str) -> float:
    return next((limit for part, limit in TOLERANCE.items() if part in name), 3)


# Levels by which JPEGs may be further from exact thumbnails than Pillow's, on average over many.
FURTHER = 0.15


def shape(width: int, height: int) -> Image.Image:
    return corpus.photo(min(width, 700), min(height, 700), 40).resize((width, height), Image.Resampling.BICUBIC)


def developed(tmp_path, files: dict[str, bytes], env: dict | None = None) -> dict[str, dict[str, bytes]]:
    """File name -> variant name -> bytes."""
    folder, out = corpus.write(tmp_path / "in", files), tmp_path / "out"
    status, lines, err = tintype.process(out, folder, env=env)
    errors = [line for line in lines if "error" in line]
    assert (status, errors) == (0, []), err
    assert len(lines) == len(files)
    by_key = {line["original"]["key"]: line for line in lines}
    return {name: {v["name"]: (out / v["key"]).read_bytes() for v in by_key[name]["variants"]} for name in files}


def as_pillow_would(image: Image.Image, name: str) -> Image.Image:
    """The image with the loss its format cannot be without: a JPEG's quality, a GIF's one bit of alpha."""
    if name.endswith(".jpg"):
        return opened(corpus.save(image.convert("RGB"), "JPEG", quality=75))
    if name.endswith(".gif"):
        image = rgba(image)
        image.putalpha(image.getchannel("A").point(lambda a: 255 * (a >= 128)))
    return image


def check(name: str, data: bytes, variants: dict[str, bytes], errors: list[float], limit: float = 3,
          hasty: list[float] | None = None) -> list[float]:
    """Sizes and pixels of one image's variants; how much further than Pillow's each JPEG is from the exact thumbnail."""
    further = []
    sizes, whole = expected_sizes(data), rgba(upright(data))
    for variant, made in variants.items():
        if variant != "original":
            assert opened(made).size == sizes[variant], (name, variant)
    for box in BOXES:
        ours, exact = opened(variants[f"{box}x{box}"]), thumbnail(whole, box)
        pillows = as_pillow_would(exact, name)
        errors.append(difference(ours, pillows))
        if name.endswith(".jpg"):
            # Two good JPEGs of one picture may be further from each other than either is from the picture: a level
            # more or less, and a coefficient is rounded the other way.
            further.append(difference(ours, exact) - difference(pillows, exact))
            assert further[-1] < limit, f"{name} {box}: {further[-1]:.2f} levels further from exact than Pillow's JPEG"
        else:
            assert errors[-1] < limit, f"{name} {box}: {errors[-1]:.2f} levels from Pillow's"
        if hasty is not None:
            hasty.append(difference(opened(variants[f"{box}x{box}"]), as_pillow_would(thumbnail(whole, box, gap=2.0), name)))
    return further


@pytest.mark.parametrize("extension, kind", [(".jpg", "JPEG"), (".png", "PNG")])
def test_odd_shapes_have_pillows_sizes(tmp_path, say, extension, kind):
    files = {f"{w}x{h}{extension}": corpus.save(shape(w, h), kind, **({"quality": 90} if kind == "JPEG" else {"compress_level": 1}))
             for w, h in SHAPES}
    assert len(files) >= 40
    errors: list[float] = []
    hasty: list[float] = []
    further: list[float] = []
    for name, variants in developed(tmp_path, files).items():
        further += check(name, files[name], variants, errors, limit=3, hasty=hasty)
    assert np.mean(further or [0]) < FURTHER
    say(f"{len(files)} shapes, {len(errors)} thumbnails: mean error against Pillow's Lanczos {np.mean(errors):.3f} levels, worst "
        f"{max(errors):.3f}; against its hasty default {np.mean(hasty):.3f}")


def orientation(data: bytes) -> int | None:
    return opened(data).getexif().get(corpus.ORIENTATION)


def turned(data: bytes) -> int | None:
    """One that means nothing (0) is not passed on."""
    return orientation(data) if orientation(data) in range(1, 9) else None


def test_orientation_photos_stand_upright(tmp_path, say):
    photos = sorted((DATA / "exif").glob("*.jpg"))
    files = {p.name: p.read_bytes() for p in photos} or {n: d for n, d in corpus.good().items() if n.startswith("orientation")}
    errors: list[float] = []
    further: list[float] = []
    for name, variants in developed(tmp_path, files).items():
        further += check(name, files[name], variants, errors, tolerance(name))
        assert orientation(variants["original"]) == turned(files[name])
        assert opened(variants["50x50"]).getexif().get(corpus.ORIENTATION, 1) == 1
    assert np.mean(further) < FURTHER
    say(f"{len(files)} photos: mean error against Pillow {np.mean(errors):.3f} levels, worst {max(errors):.3f}; "
        f"{np.mean(further):.3f} levels further from the exact thumbnail than Pillow's JPEG")


def test_every_format_comes_out_as_it_went_in(tmp_path, say):
    files = {n: d for n, d in corpus.good().items() if not n.startswith("wide-gamut")}
    errors: dict[str, list[float]] = {}
    for name, variants in developed(tmp_path, files).items():
        assert len(variants) == 8
        before = Image.open(io.BytesIO(files[name]))
        for variant, made in variants.items():
            assert opened(made).format == before.format, (name, variant)
        if not name.startswith("animated.png"):
            check(name, files[name], variants, errors.setdefault(before.format, []), tolerance(name))
    for kind, values in sorted(errors.items()):
        say(f"{kind}: mean error against Pillow {np.mean(values):.3f} levels, worst {max(values):.3f}")


def test_animation_keeps_frames_delays_and_loop(tmp_path):
    files = {n: d for n, d in corpus.good().items() if n.endswith((".gif", ".webp")) and play(d)[0] > 1}
    assert len(files) >= 8
    for name, variants in developed(tmp_path, files).items():
        for variant, made in variants.items():
            assert play(made) == play(files[name]), (name, variant)
        before, after = (Image.open(io.BytesIO(d)) for d in (files[name], variants["50x50"]))
        theirs, ours = [], []
        for n in range(before.n_frames):
            before.seek(n)
            after.seek(n)
            theirs.append(as_pillow_would(thumbnail(rgba(before), 50), name))
            ours.append(rgba(after))
        for n, frame in enumerate(ours):
            off = [difference(frame, other) for other in theirs]
            assert min(off) == off[n] < 16, (name, n, off)  # nearer to its own frame than to any other


def test_alpha_survives(tmp_path):
    names = ["rgba8.png", "la8.png", "palette8-trns.png", "rgb8-trns.png", "alpha.webp", "rgba-lzw.tif", "transparent.gif"]
    for name, variants in developed(tmp_path, {n: corpus.good()[n] for n in names}).items():
        before = rgba(as_pillow_would(thumbnail(rgba(opened(corpus.good()[name])), 50), name)).getchannel("A")
        after = rgba(opened(variants["50x50"])).getchannel("A")
        assert np.abs(np.asarray(before).astype(int) - np.asarray(after)).mean() < (20 if name.endswith(".gif") else 3), name
        if not name.endswith(".gif"):
            assert rgba(opened(variants["original_blurred"])).getchannel("A").getextrema()[0] < 250, name


def test_colours_become_srgb_and_original_keeps_its_profile(tmp_path):
    files = {n: d for n, d in corpus.good().items() if n.startswith("wide-gamut")}
    for name, variants in developed(tmp_path, files).items():
        assert opened(variants["original"]).info["icc_profile"] == corpus.adobe_rgb(), name
        for box in BOXES:
            small = opened(variants[f"{box}x{box}"])
            assert "icc_profile" not in small.info
            assert difference(small, as_pillow_would(thumbnail(corpus.srgb_of(opened(files[name])), box), name)) < tolerance(name), (name, box)
            assert difference(small, thumbnail(opened(files[name]), box)) > 4, (name, box)  # not merely relabelled


PRIVATE = [b"SN-0123456789", b"GPSLatitude"]


def test_private_metadata_goes_and_no_pixel_with_it(tmp_path):
    files = {n: d for n, d in corpus.good().items() if n.startswith(("orientation", "wide-gamut", "xmp"))}
    for name, variants in developed(tmp_path, files).items():
        before, after = opened(files[name]), opened(variants["original"])
        assert np.array_equal(np.asarray(before), np.asarray(after)), name
        assert orientation(variants["original"]) == turned(files[name]), name
        for variant, made in variants.items():
            assert not opened(made).getexif().get_ifd(corpus.GPS_IFD), (name, variant)
            assert not any(secret in made for secret in PRIVATE), (name, variant)


@pytest.mark.parametrize("rule", ["keep", "none"])
def test_metadata_rule_is_kept_to(tmp_path, rule):
    files = {"a.jpg": corpus.good()["orientation6.jpg"]}
    original = developed(tmp_path, files, env={"TINTYPE_VARIANTS__METADATA": rule})["a.jpg"]["original"]
    tags = opened(original).getexif()
    assert bool(tags.get_ifd(corpus.GPS_IFD)) == (rule == "keep")
    if rule == "keep":
        assert original == files["a.jpg"]


def test_manifest_tells_the_facts(tmp_path):
    folder = corpus.write(tmp_path / "in", {n: corpus.good()[n] for n in ("orientation6.jpg", "delays.gif", "rgba8.png")})
    _, lines, _ = tintype.process(tmp_path / "out", folder)
    facts = {line["original"]["key"]: line for line in lines}
    photo, moving, clear = (facts[n] for n in ("orientation6.jpg", "delays.gif", "rgba8.png"))
    assert (photo["original"]["width"], photo["original"]["height"], photo["image"]["orientation"]) == (150, 240, 6)
    assert photo["image"]["taken_at"].startswith("2024-05-06T07:08:09")
    assert (moving["image"]["frames"], moving["image"]["format"]) == (5, "gif")
    assert (clear["image"]["has_alpha"], photo["image"]["has_alpha"]) == (True, False)
    assert all(len(line["image"]["dominant_color"]) == 7 and line["image"]["thumbhash"] for line in lines)
    assert all(line["engine"].startswith("tintype ") and line["preset"]["name"] == "default" for line in lines)
    for name, line in facts.items():
        stored = json.loads((tmp_path / "out" / "image" / f"{name}.manifest.json").read_text())
        assert stored["variants"] == line["variants"]
