"""What Tintype shows of a file is what independent decoders show, Pillow's and libvips's (libtiff, libpng, libjpeg, nsgif, libwebp); where
it is not, the file is refused, or said to be damaged, or the difference stands here with its reason."""
import io
import json
from fnmatch import fnmatch

import pytest
from PIL import Image, ImageOps

import corpus
import odd_corpus as odd
from support import tintype
from support.pillow import difference, opened

LARGEST = 400
# Every pixel, and none of them coded anew with a loss.
PRESET = f'[presets.shown]\nvariants = [{{ name = "shown", width = {LARGEST}, format = "png" }}]\n'
# Levels of 255, in the mean: rounding, and no more. Of what is damaged, a few rows may be told otherwise.
WHOLE, DAMAGED = 1.0, 5.0


def shown(tmp_path, files: dict[str, bytes]) -> dict[str, dict]:
    """File name -> its line, the picture with it."""
    # A folder for each kind: what comes of `a.png` and of `a.gif` is `a_shown.png`.
    kept = lambda name: f"{name.rpartition('.')[2]}/{name}"
    folder = corpus.write(tmp_path / "in", {kept(name): data for name, data in files.items()})
    config, out = tmp_path / "shown.toml", tmp_path / "out"
    config.write_text(PRESET)
    done = tintype.run("process", "--config", config, "--preset", "shown", "--out", out, "--json", folder, timeout=900)
    lines = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if "variants" in line:
            line["picture"] = opened((out / line["variants"][0]["key"]).read_bytes())
        lines[line["original"]["key"].partition("/")[2]] = line
    assert sorted(lines) == sorted(files), done.stderr
    return lines


def by_pillow(data: bytes) -> Image.Image | None:
    image = odd.by_pillow(data)
    if image is None:
        return None
    if image.mode == "La":
        image = image.convert("LA")
    if "icc_profile" in image.info and image.mode == "RGB":
        image = corpus.srgb_of(image) if not image.getexif() else ImageOps.exif_transpose(corpus.srgb_of(image))
    return ImageOps.exif_transpose(image)


DECODERS = {"pillow": by_pillow, "vips": odd.by_vips}

# Where a decoder shows something else: whose files, by name, and why Tintype does not do the same.
COARSE = "of colours stored so coarsely libjpeg repeats each sample, and Tintype goes from one to the next"
INKS = "there is no profile: what the inks look like is anybody's guess, docs/images.md says which one is Tintype's"
KNOWN = "the picture that the file was made of is known, and is what Tintype shows (test_damaged.py)"
ACCEPTED: dict[str, dict[str, str]] = {
    "pillow": {
        "amid-its-screen.gif": "what no image of it covers is transparent, as in browsers; Pillow gives it the background's colour",
        "good-2x3.jpg": COARSE, "sampled-1x4.jpg": COARSE, "sampled-3x1.jpg": COARSE, "sampled-4[x]*.jpg": COARSE,
        "grey16-0-fill1-e.tif": KNOWN + "; Pillow does not turn around 16 bits whose zero is white",
        "grey-extra[12]-planar-pack8-*.tif": KNOWN + "; Pillow mixes up packed planes",
        "rgb-extraNone-planar-pack8-*.tif": KNOWN + "; Pillow mixes up packed planes",
        "rgb16-planar-*pack1-*.tif": KNOWN + "; Pillow takes planes of 16 bits for planes of 8",
        "rgb-fill2-pack1-planar.tif": KNOWN + "; Pillow turns bits around in the first plane alone",
    },
    "vips": {
        "amid-its-screen.gif": "what no image of it covers is transparent, as in browsers; libvips makes it black",
        "good-2x3.jpg": COARSE, "sampled-1x4.jpg": COARSE, "sampled-3x1.jpg": COARSE, "sampled-4[x]*.jpg": COARSE,
        "*cmyk*": INKS, "good-ycck.jpg": INKS,
        "*-extra0-*.tif": "of a sample of which nobody knows what it is libvips makes transparency; viewers leave it out, and so does Tintype",
        "grey-extra*-planar-*.tif": KNOWN + "; libvips mixes up the planes of two samples",
        "ycbcr.tif": KNOWN + "; libvips hands over Y, Cb and Cr as if they were red, green and blue",
    },
}


def compared(decoder: str, lines: dict[str, dict], files: dict[str, bytes], most: float) -> tuple[int, dict[str, str]]:
    """How many files were compared, and how those differ that do."""
    count, differ = 0, {}
    for name, line in lines.items():
        if "error" in line or line.get("damaged"):
            continue
        theirs = DECODERS[decoder](files[name])
        if theirs is None:
            continue
        count += 1
        if theirs.size != line["picture"].size:
            differ[name] = f"{theirs.size} instead of {line['picture'].size}"
        elif (away := difference(line["picture"], theirs)) > most:
            differ[name] = f"{away:.2f} levels"
    return count, differ


def assert_accepted(decoder: str, differ: dict[str, str]) -> None:
    accepted = {name: [p for p in ACCEPTED[decoder] if fnmatch(name, p)] for name in differ}
    told = {name: how for name, how in differ.items() if not accepted[name]}
    assert not told, f"{decoder} shows otherwise, and Tintype says nothing: {told}"


@pytest.fixture(scope="module")
def whole_files() -> dict[str, bytes]:
    made = {name: data for group in (odd.tiffs(), odd.bmps()) for name, (data, _) in group.items()}
    good = {f"good-{name}": data for name, data in corpus.good().items()
            if max(Image.open(io.BytesIO(data)).size) <= LARGEST}
    return made | odd.gifs() | odd.jpegs() | {f"plain-{name}": data for name, data in odd.whole().items()} | good


@pytest.fixture(scope="module")
def whole(whole_files, tmp_path_factory) -> dict[str, dict]:
    return shown(tmp_path_factory.mktemp("whole"), whole_files)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory) -> dict[str, dict]:
    return shown(tmp_path_factory.mktemp("damaged"), odd.damaged())


def test_whole_files_are_developed_without_a_word(whole):
    told = {name: line.get("error") or line["damaged"] for name, line in whole.items() if "error" in line or line.get("damaged")}
    assert not told


@pytest.mark.parametrize("decoder", DECODERS)
def test_whole_files_are_what_others_show(decoder, whole, whole_files, say):
    count, differ = compared(decoder, whole, whole_files, WHOLE)
    assert_accepted(decoder, differ)
    say(f"{decoder}: {count} of {len(whole_files)} files compared, {len(differ)} differ, as is written down")
    assert count > 200


@pytest.mark.parametrize("decoder", DECODERS)
def test_damaged_files_are_what_others_show_unless_a_word_is_said(decoder, damaged, say):
    count, differ = compared(decoder, damaged, odd.damaged(), DAMAGED)
    assert_accepted(decoder, differ)
    words = sum(bool(line.get("damaged")) for line in damaged.values())
    say(f"{decoder}: of {len(damaged)} damaged files {words} are told, {count} others were compared, {len(differ)} differ, as is written down")
    assert count > 50


def test_nothing_is_accepted_that_does_not_differ(whole, whole_files, damaged):
    for decoder, accepted in ACCEPTED.items():
        differ = compared(decoder, whole, whole_files, WHOLE)[1] | compared(decoder, damaged, odd.damaged(), DAMAGED)[1]
        idle = [pattern for pattern in accepted if not any(fnmatch(name, pattern) for name in differ)]
        assert not idle, (decoder, idle)
