"""Nothing silently wrong: odd files are read right or refused, damaged ones are developed as browsers show them and say so."""
import io
import json
import struct

import numpy as np
import pytest
import pyvips
import requests
from PIL import Image

import corpus
import odd_corpus as odd
from conftest import DATA
from support import tintype
from support.pillow import difference, opened, rgba
from support.process import wait_for

CASES = DATA / "cases"
PHOTO = corpus.save(corpus.photo(320, 240, 80), "JPEG", quality=85)
CUT = PHOTO[: len(PHOTO) * 80 // 100]


def developed(tmp_path, files: dict[str, bytes], env: dict | None = None, flags: tuple = ()) -> dict[str, dict]:
    """File name -> its line; the picture of its own size lies under `picture`."""
    folder, out = corpus.write(tmp_path / "in", files), tmp_path / "out"
    done = tintype.run("process", *flags, "--out", out, "--json", folder, env=env, timeout=600)
    lines = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if "variants" in line:
            key = next(v["key"] for v in line["variants"] if v["name"] == "400x400")
            line["picture"] = (out / key).read_bytes()
            line["bytes"] = (out / next(v["key"] for v in line["variants"] if v["name"] == "original")).read_bytes()
        lines[line["original"]["key"]] = line
    assert sorted(lines) == sorted(files), done.stderr
    return lines


def test_lzw_tiles_that_jut_out_of_the_page_are_whole(tmp_path):
    """By libtiff: the decoder took the end of what it cut off for the end of the tile."""
    files, pictures = {}, {}
    for width, height, tile, bits in ((200, 200, 16, 1), (200, 192, 32, 2), (200, 200, 128, 1), (193, 200, 16, 8), (17, 33, 16, 8), (200, 200, 128, 4)):
        plane = ((np.add.outer(np.arange(height), np.arange(width)) // 20) % 2 * 255).astype(np.uint8)
        image = pyvips.Image.new_from_memory(plane.tobytes(), width, height, 1, "uchar").copy(interpretation="b-w")
        name = f"{width}x{height}-{tile}-{bits}.tif"
        files[name] = image.tiffsave_buffer(compression="lzw", predictor="none", tile=True, tile_width=tile, tile_height=tile, bitdepth=bits)
        pictures[name] = plane
    for name, line in developed(tmp_path, files).items():
        assert "damaged" not in line, (name, line)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(line["picture"])).convert("L")), pictures[name]), name


def test_odd_tiffs_are_the_picture_they_were_made_of(tmp_path, say):
    files = {name: data for name, (data, _) in odd.tiffs().items()}
    assert len(files) > 120
    errors, checked, wrong = [], 0, {}
    for name, line in developed(tmp_path, files).items():
        if "picture" not in line or line.get("damaged") is not None:
            wrong[name] = line.get("error") or line["damaged"]
            continue
        want = odd.tiffs()[name][1]
        # 16 bits are rounded, and alpha divided out.
        errors.append(difference(opened(line["picture"]), want))
        if errors[-1] >= 1.5:
            wrong[name] = f"{errors[-1]:.2f} levels from its picture"
        theirs = odd.by_pillow(files[name])
        if theirs is not None and theirs.mode in ("1", "L", "P", "RGB", "YCbCr", "RGBA", "LA"):
            checked += difference(theirs, want) < 1.5
    assert not wrong, f"{len(wrong)} of {len(files)}: {wrong}"
    say(f"{len(files)} TIFFs: mean error {np.mean(errors):.3f} levels, worst {max(errors):.3f}; Pillow agrees on {checked}")
    assert checked > len(files) / 2


def test_odd_bitmaps_are_the_picture_they_were_made_of(tmp_path, say):
    files = {name: data for name, (data, _) in odd.bmps().items()}
    errors = {}
    for name, line in developed(tmp_path, files).items():
        assert "picture" in line and line.get("damaged") is None, (name, line)
        errors[name] = difference(opened(line["picture"]), odd.bmps()[name][1])
    assert max(errors.values()) < .01, {name: error for name, error in errors.items() if error >= .01}
    say(f"{len(files)} BMPs, each pixel as it was made")


@pytest.mark.parametrize("kind", ["interlaced.png", "wide-interlaced.png"])
def test_an_interlaced_picture_that_is_cut_is_coarse_and_has_no_hole(tmp_path, kind):
    whole = odd.whole()[kind]
    files = {f"{percent}.png": whole[: len(whole) * percent // 100] for percent in (5, 20, 45, 60, 80, 95)}
    lines, away = developed(tmp_path, files, {"TINTYPE_LIMITS__DAMAGED": "0"}), []
    for name in files:
        damaged, percent = lines[name]["damaged"], int(name.removesuffix(".png"))
        assert abs(damaged["rows"] - percent / 100) < .08 and damaged["why"] == "the PNG ends early", (name, damaged)
        away.append(difference(opened(lines[name]["picture"]), opened(whole)))
    assert away == sorted(away, reverse=True) and away[0] < 25 and away[-1] < 1, away
    taken = {name for name, line in developed(tmp_path / "half", files).items() if "picture" in line}
    assert taken == {"60.png", "80.png", "95.png"}


def test_a_tiff_without_its_directory_is_refused(tmp_path):
    """It says where the pixels are and how they are stored, and mostly lies at the end."""
    data = odd.tiffs()["rgb8-pack1-predictor1.tif"][0]
    (at,) = np.frombuffer(data, "<u4", 1, 4)
    lines = developed(tmp_path, {"before.tif": data[:at], "within.tif": data[:at + 40]}, {"TINTYPE_LIMITS__DAMAGED": "0"})
    assert [line["error"]["code"] for line in lines.values()] == ["corrupt"] * 2, lines


def test_what_cannot_be_read_right_is_refused_by_name(tmp_path):
    lines = developed(tmp_path, odd.refused())
    guessed = [name for name, line in lines.items() if "error" not in line]
    assert not guessed
    for name, line in lines.items():
        assert line["error"]["code"] == "unsupported_format", (name, line["error"])
        assert "made its decoder fail" not in line["error"]["message"], (name, line["error"])


def test_no_damaged_file_is_another_picture_without_a_word(tmp_path, say):
    """Whoever opens the damaged file, or the whole one, sees what Tintype shows; or Tintype says that it is damaged."""
    files, whole = odd.damaged(), odd.whole()
    told = refused = 0
    for name, line in developed(tmp_path, files).items():
        if "error" in line:
            assert line["error"]["code"] in ("corrupt", "unsupported_format") and line["error"]["message"], (name, line)
            refused += 1
            continue
        damaged = line.get("damaged")
        if damaged is not None:
            assert .5 < damaged["rows"] <= 1 and damaged["why"], (name, damaged)
            told += 1
            continue
        original = name.split("-", 1)[1] if not name.startswith("no-end-") else name.removeprefix("no-end-")
        ours, seen = opened(line["picture"]), [odd.by_pillow(files[name]), opened(whole[original])]
        nearest = min(difference(ours, other) for other in seen if other is not None and other.size == ours.size)
        assert nearest < 5, f"{name}: {nearest:.1f} levels from what anyone else shows, and not a word"
    say(f"{len(files)} damaged files: {told} told as damaged, {refused} refused, {len(files) - told - refused} no different")
    assert told > 60


def test_what_is_there_of_a_jpeg_is_libjpegs(tmp_path):
    """Pillow fills with grey what libjpeg fills with grey."""
    files = {name: data for name, data in odd.damaged().items() if name.endswith(".jpg") and "progressive" not in name}
    compared = 0
    for name, line in developed(tmp_path, files).items():
        theirs = odd.by_pillow(files[name])
        if "picture" not in line or theirs is None or not name.startswith(("zeros", "gap", "no-end")):
            continue
        assert difference(opened(line["picture"]), theirs) < 6, name
        compared += 1
    assert compared > 20


@pytest.mark.parametrize("flags", [(), ("--sandbox",)], ids=["thread", "sandbox"])
def test_the_limit_decides_what_is_taken(tmp_path, flags):
    files = {"cut.jpg": CUT, "no-end.jpg": PHOTO[:-2], "third.jpg": PHOTO[: len(PHOTO) // 3], "whole.jpg": PHOTO}
    taken = {}
    for n, limit in enumerate((None, "refuse", "0.95", "1", "0", "0.5")):
        env = {} if limit is None else {"TINTYPE_LIMITS__DAMAGED": limit}
        lines = developed(tmp_path / str(n), files, env, flags)
        taken[limit] = {name for name, line in lines.items() if "picture" in line}
        assert all(line["error"]["code"] == "corrupt" for line in lines.values() if "error" in line)
        assert lines["whole.jpg"].get("damaged") is None and "damaged" not in lines["whole.jpg"]
        if limit is None:
            assert .7 < lines["cut.jpg"]["damaged"]["rows"] < .9
            assert lines["cut.jpg"]["damaged"]["why"] == "the JPEG ends early"
            assert lines["no-end.jpg"]["damaged"]["rows"] == 1
    some, every = {"cut.jpg", "no-end.jpg", "whole.jpg"}, set(files)
    assert taken == {None: some, "refuse": {"whole.jpg"}, "0.95": some - {"cut.jpg"}, "1": some - {"cut.jpg"}, "0": every, "0.5": some}


def test_a_segment_that_libjpeg_gives_up_at_is_told_and_mended(tmp_path):
    at = PHOTO.index(b"\xff\xda")
    frame = PHOTO.index(b"\xff\xc0")
    odd = {"interval.jpg": PHOTO[:at] + b"\xff\xdd\0\x0c\0\0" + b"x" * 8 + PHOTO[at:], "codes.jpg": PHOTO[:at] + b"\xff\xcc\0\x0a" + b"x" * 8 + PHOTO[at:],
           "frame.jpg": PHOTO[:frame + 2] + b"\0\x15" + PHOTO[frame + 4:frame + 19] + b"xxxx" + PHOTO[frame + 19:],
           "scan.jpg": PHOTO[:at + 2] + b"\0\x10" + PHOTO[at + 4:at + 14] + b"xxxx" + PHOTO[at + 14:]}
    whole = np.asarray(Image.open(io.BytesIO(PHOTO)))
    for name, line in developed(tmp_path, odd).items():
        with pytest.raises(OSError):
            Image.open(io.BytesIO(odd[name])).load()
        assert line["damaged"] == {"rows": 1.0, "why": "a segment of the JPEG is damaged"}, line
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(line["bytes"]))), whole), name


def test_a_screen_too_small_for_a_gifs_first_image_grows(tmp_path):
    first, later = corpus.photo(83, 61, 6).quantize(64), corpus.photo(120, 90, 7).quantize(64)
    whole = corpus.save(first, "GIF")
    screen = lambda file, size: file[:6] + struct.pack("<HH", *size) + file[10:]
    files = {"smaller.gif": screen(whole, (40, 30)), "zero.gif": screen(whole, (0, 0)), "flat.gif": screen(whole, (100, 10))}
    for name, line in developed(tmp_path, files).items():
        theirs = Image.open(io.BytesIO(files[name]))
        theirs.load()
        assert "damaged" not in line or line["damaged"] is None, line
        assert (line["original"]["width"], line["original"]["height"]) == theirs.size == opened(line["picture"]).size, name
        cut = opened(line["picture"]).convert("RGB").crop((0, 0, 83, 61))
        assert np.array_equal(np.asarray(cut), np.asarray(first.convert("RGB"))), name
        assert line["bytes"] == files[name]
    # Of a later image, browsers show what lies on the canvas.
    small, large = corpus.save(first, "GIF"), corpus.save(later, "GIF")
    image = lambda file: file[file.index(b"," + bytes(4)):-1]
    table = lambda file: file[13:13 + 3 * (2 << (file[10] & 7))]
    own = lambda file: image(file)[:9] + bytes((0x80 | file[10] & 7,)) + table(file) + image(file)[10:]
    moving = small[:-1] + own(large) + b";"
    line = developed(tmp_path / "moving", {"moving.gif": moving})["moving.gif"]
    assert line["image"]["frames"] == 2 and (line["original"]["width"], line["original"]["height"]) == (83, 61)


def test_a_limit_that_is_none_is_told(tmp_path):
    for limit in ("sometimes", "1.5", "-1"):
        done = tintype.run("process", "x.jpg", cwd=tmp_path, env={"TINTYPE_LIMITS__DAMAGED": limit})
        assert done.returncode == 2 and "limits.damaged" in done.stderr and '"refuse"' in done.stderr, done.stderr


def test_the_report_for_people_says_so(tmp_path):
    (tmp_path / "cut.jpg").write_bytes(CUT)
    done = tintype.run("process", "cut.jpg", cwd=tmp_path)
    assert done.returncode == 0 and "damaged: the JPEG ends early (" in done.stdout, done.stdout


def test_the_original_keeps_its_bytes_and_a_word_goes_everywhere(deployment, receiver):
    created = deployment.create(metadata={"id": "7"}, filename="cut.jpg")
    presign = created["presign"]
    answer = requests.post(presign["url"], data=presign["fields"], files={"file": ("cut.jpg", CUT)}, timeout=30)
    assert answer.status_code in (200, 201, 204), answer.text
    if not deployment.at.notifies:
        deployment.announce(deployment.at.bucket, presign["fields"]["key"])
    status = wait_for("an outcome", lambda: (s := deployment.status(created["id"]))["status"] in ("completed", "failed") and s, 60)
    damaged = status["manifest"]["damaged"]
    assert .7 < damaged["rows"] < .9 and damaged["why"] == "the JPEG ends early"
    assert receiver.wait(created["id"]).verify()["damaged"] == damaged
    original = next(v for v in status["manifest"]["variants"] if v["name"] == "original")
    assert requests.get(original["url"], timeout=30).content == CUT


@pytest.mark.skipif(not CASES.is_dir(), reason="the files are kept beside the repository")
def test_cases(tmp_path):
    files = {path.name: path.read_bytes() for path in sorted(CASES.iterdir()) if path.suffix != ".json"}
    lines = developed(tmp_path, files)
    corgi = opened(files["jpeg-arithmetic.jpg"])
    for name in ("jpeg-no-eoi.jpg", "png-no-iend.png", "tiff-planar-16-bit-tiles.tif", "tiff-jpeg.tif", "bmp-offset-into-palette.bmp"):
        assert difference(opened(lines[name]["picture"]), corgi) < 12, name
    grey = difference(opened(lines["tiff-fill-order-2.tif"]["picture"]).convert("L"), corgi.convert("L"))
    assert grey < 12, grey
    for name, least, most in [("jpeg-cut-at-80.jpg", .7, .9), ("jpeg-eoi-in-the-middle.jpg", .5, .9), ("jpeg-restart-lost.jpg", .8, .95),
                              ("jpeg-restart-wrong.jpg", .8, 1), ("png-cut-at-80.png", .7, .9), ("gif-cut-in-third-frame.gif", .6, 1)]:
        assert least <= lines[name]["damaged"]["rows"] <= most, (name, lines[name]["damaged"])
        bottom = np.asarray(rgba(opened(lines[name]["picture"])))[-1, :, :3]
        assert bottom.mean() > 60, f"{name} is black where it is missing"
    assert lines["gif-no-trailer.gif"]["image"]["frames"] == 3 and lines["gif-cut-in-third-frame.gif"]["image"]["frames"] >= 2
    assert lines["jpeg-cut-at-30.jpg"]["error"]["code"] == "corrupt"
    assert "LZMA" in lines["tiff-lzma.tif"]["error"]["message"]
    for name, line in lines.items():
        if "error" in line and name != "jpeg-cut-at-30.jpg":
            assert line["error"]["code"] == "unsupported_format", (name, line["error"])
