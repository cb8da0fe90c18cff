"""Nothing that is public holds a needle: every public byte is looked at, what zlib packs unpacked, and exiftool asked."""
import io
import json
import subprocess

import numpy as np
import pytest
import requests
from PIL import Image, ImageFile

import corpus
import needles
from support import tintype, upload
from support.process import wait_for

# What of a picture may be told: nothing of the place, the owner, the device, or what somebody wrote.
PRIVATE = ("gps", "serial", "owner", "artist", "author", "comment", "description", "imageuniqueid", "makernote", "hostcomputer", "xmp",
           "iptc", "photoshop", "thumbnail", "warning", "trailer")
FILES = needles.all_files()


def public_files(out) -> list:
    return sorted(path for path in (out / "image").rglob("*") if path.is_file())


@pytest.fixture(scope="module", params=["private-stripped", "none"])
def made(request, tmp_path_factory):
    """All files through `process` under one rule."""
    home = tmp_path_factory.mktemp(request.param)
    folder = corpus.write(home / "in", FILES)
    status, lines, err = tintype.process(home / "out", folder, env={"TINTYPE_VARIANTS__METADATA": request.param})
    assert status == 0, [line for line in lines if "error" in line] or err
    assert {line["original"]["key"] for line in lines} == set(FILES)
    return request.param, home / "out"


def test_every_file_holds_its_needle():
    assert len(FILES) > 60
    missing = [name for name, data in FILES.items() if not needles.found_in(data)]
    assert not missing


def test_no_public_byte_holds_a_needle(made, say):
    rule, out = made
    told = [path.name for path in public_files(out) if needles.found_in(path.read_bytes())]
    assert not told, f"{rule}: {told}"
    say(f"{len(FILES)} places, {len(public_files(out))} public files, none tells ({rule})")


def test_pixels_are_those_that_came(made, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    rule, out = made
    for name, data in FILES.items():
        if name == "more-colours-than-there-are.bmp":  # Pillow reads no table of more than 256
            continue
        before, after = Image.open(io.BytesIO(data)), Image.open(out / "image" / name)
        # A TIFF's first page is the picture; other pages have been looked at by nobody.
        frames = 1 if name.endswith(".tif") else getattr(before, "n_frames", 1)
        assert getattr(after, "n_frames", 1) == frames, name
        for frame in range(frames):
            before.seek(frame)
            after.seek(frame)
            assert np.array_equal(np.asarray(before), np.asarray(after)), (rule, name, frame)
            # Colours of a table are not seen in its indices.
            assert np.array_equal(np.asarray(before.convert("RGBA")), np.asarray(after.convert("RGBA"))), (rule, name, frame)


def test_exiftool_finds_nothing_private(made):
    rule, out = made
    images = [str(path) for path in public_files(out) if path.suffix != ".json"]
    listing = out.parent / "images.txt"
    listing.write_text("\n".join(images))
    done = subprocess.run(["exiftool", "-json", "-a", "-u", "-ee3", "-G1", "-@", str(listing)], capture_output=True, text=True, timeout=300)
    seen = json.loads(done.stdout)
    assert len(seen) == len(images)
    for tags in seen:
        names = [tag for tag in tags if not tag.startswith(("SourceFile", "ExifTool:ExifToolVersion", "System:", "ICC"))]
        told = [tag for tag in names if any(word in tag.lower() for word in PRIVATE)]
        assert not told, (rule, tags["SourceFile"], told)
        assert needles.TEXT[:12] not in json.dumps(tags), (rule, tags["SourceFile"])


def photo_with_all() -> bytes:
    return corpus.save(needles.PICTURE, "JPEG", exif=corpus.exif(6))


def test_without_metadata_a_public_manifest_tells_nothing_and_its_owner_all(tmp_path):
    folder = corpus.write(tmp_path / "in", {"a.jpg": photo_with_all()})
    told = {}
    for rule in ("private-stripped", "none"):
        out = tmp_path / rule
        # Done once, and then found done.
        runs = [tintype.process(out, folder, env={"TINTYPE_VARIANTS__METADATA": rule})[1][0] for _ in range(2)]
        assert runs[0] == runs[1], rule
        assert runs[0]["image"]["taken_at"] and runs[0]["image"]["camera"]["make"], rule
        told[rule] = json.loads((out / "image/a.jpg.manifest.json").read_text())
    assert told["private-stripped"]["image"]["taken_at"] and told["private-stripped"]["image"]["camera"]
    assert told["none"]["image"]["taken_at"] is None and told["none"]["image"]["camera"] is None
    for fact in ("thumbhash", "blurhash", "palette", "dominant_color", "orientation"):
        assert told["none"]["image"][fact] == told["private-stripped"]["image"][fact], fact


@pytest.mark.parametrize("rule", ["private-stripped", "none"])
def test_what_the_public_reads_of_a_server_obeys_the_rule(serve, receiver, rule):
    secret = {"customer": "N33DLE-customer-17"}
    server = serve(env={"TINTYPE_VARIANTS__METADATA": rule})
    created = server.create(metadata=secret, filename="a.jpg", content_type="image/jpeg")
    assert upload.by_hand(created["presign"], photo_with_all()).status == 204
    told = server.finish(created["id"])
    assert told["status"] == "completed", told
    manifest = told["manifest"]
    assert manifest["metadata"] == secret and manifest["image"]["taken_at"] and manifest["image"]["camera"]
    called = receiver.wait(created["id"]).body
    assert called["metadata"] == secret and called["image"] == manifest["image"]
    original = manifest["variants"][0]
    stored = requests.get(original["url"].replace(original["key"], original["key"] + ".manifest.json"), timeout=10)
    answers = [stored, *(requests.get(variant["url"], timeout=10) for variant in manifest["variants"])]
    assert all(answer.status_code == 200 for answer in answers), answers
    telling = [answer.url for answer in answers if "N33DLE" in str(answer.headers) + answer.content.decode("latin-1")]
    assert (len(telling) == 0) if rule == "none" else (len(telling) == len(answers)), telling
    image = stored.json()["image"]
    assert (image["taken_at"] is None and image["camera"] is None) == (rule == "none")
    # What is stored says less than the row, and no less than it should.
    done = tintype.run("verify", "--data", server.home / "data", "--json", "--deep", env=server.env, cwd=server.home)
    assert done.returncode == 0, done.stdout + done.stderr
    # And what says more than the rule allows is seen, and written again.
    if rule == "none":
        server.at.s3.put_object(Bucket="tintype", Key=original["key"] + ".manifest.json", Body=json.dumps(manifest).encode())
        done = tintype.run("verify", "--data", server.home / "data", "--json", "--repair", env=server.env, cwd=server.home)
        assert "manifest_differs" in done.stdout, done.stdout + done.stderr
        wait_for("the manifest is written again", lambda: "N33DLE" not in requests.get(stored.url, timeout=10).text)
