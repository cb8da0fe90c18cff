"""Presets of one's own: mistakes all at once, keys as promised, pixels as Pillow makes them."""
import io
import json

import numpy as np
import pytest
import requests
from PIL import Image, ImageOps

import corpus
from support import pillow, tintype
from support.process import wait_for
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
PRESETS = """
[presets.avatar]
paths = ["temp/avatars/"]
quality = { jpeg = 90, webp = 90 }
variants = [
  { name = "original" },
  { name = "64", fit = "cover", width = 64, height = 64, gravity = "smart", format = "webp" },
  { name = "card", fit = "contain", width = 300, height = 300, background = "#204060", format = "jpeg", progressive = true },
  { name = "tiny", fit = "cover", width = 48, height = 32, format = "avif" },
  { name = "best", width = 320, format = "auto" },
]
[presets.cut]
variants = [
  { name = "middle", fit = "cover", width = 140, height = 140, format = "png" },
  { name = "north", fit = "cover", width = 120, height = 60, gravity = "north", format = "png" },
  { name = "southeast", fit = "cover", width = 60, height = 120, gravity = "southeast", format = "png" },
  { name = "padded", fit = "contain", width = 160, height = 144, background = "#204060", format = "png" },
  { name = "stretched", fit = "fill", width = 90, height = 150, format = "png" },
  { name = "wide", width = 130, format = "png" },
  { name = "tall", height = 130, format = "png" },
]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "presets.toml"
    path.write_text(PRESETS)
    return path


def develop(tmp_path, config, preset: str, files: dict) -> list[dict]:
    folder = corpus.write(tmp_path / "in", files)
    done = tintype.run("process", "--config", config, "--preset", preset, "--json", "--out", tmp_path / "out", folder)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_original_alone_has_its_facts(tmp_path, config):
    config.write_text('[presets.alone]\nvariants = [{ name = "original" }]\n')
    sizes = [(1, 1), (9, 70), (33, 480), (100, 75), (199, 60), (320, 240), (640, 480), (1000, 750)]
    files = {f"{width}x{height}.jpg": corpus.save(corpus.photo(width, height, 9), "JPEG", quality=90) for width, height in sizes}
    for line in develop(tmp_path, config, "alone", files):
        assert [variant["name"] for variant in line["variants"]] == ["original"], line
        image, name = line["image"], line["original"]["key"]
        mean = np.asarray(Image.open(io.BytesIO(files[name])).convert("RGB"), float).mean((0, 1))
        swatches = [(np.array([int(each["color"][at:at + 2], 16) for at in (1, 3, 5)]), each["share"]) for each in image["palette"]]
        seen = sum(color * share for color, share in swatches) / sum(share for _, share in swatches)
        assert np.abs(seen - mean).max() < 16, (name, seen, mean)


def test_mistakes_are_told_together_each_with_its_key(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("""
[presets.avatar]
paths = ["image/avatars/"]
variants = [
  { name = "64", fit = "cover", width = 64 },
  { name = "64", width = 0 },
  { name = "a/b", widht = 10, quality = 101 },
  { name = "blurred", blur = 2 },
  { name = "original_blurred", format = "gif" },
]
[presets.empty]
[callback]
url = "ftp://x"
""")
    done = tintype.run("config", "--check", "--config", path)
    assert done.returncode == 2 and "panicked" not in done.stderr
    for told in ("presets.avatar.paths", "variants[0].height", "variants[1].width", "variants[1].name", "variants[2].name",
                 "variants[2].widht", "did you mean width?", "variants[2].quality", "variants[4].format", "variants[4].name",
                 "presets.empty.variants", "callback.url"):
        assert told in done.stderr, f"{told} is not in:\n{done.stderr}"


def test_printed_example_is_a_preset(tmp_path):
    printed = tintype.run("config").stdout
    example = printed[printed.index("# [presets.avatar]"):]
    path = tmp_path / "example.toml"
    path.write_text("".join(line.removeprefix("# ") + "\n" for line in example.splitlines()))
    assert tintype.run("config", "--check", "--config", path).returncode == 0
    done = tintype.run("process", "--config", path, "--preset", "nobody", tmp_path)
    assert done.returncode == 2 and '"avatar"' in done.stderr and '"default"' in done.stderr


def test_pixels_are_those_of_pillow(tmp_path, config, say):
    """Cut, padded and stretched as `ImageOps` does it, on the upright image."""
    names = ["baseline.jpg", *[n for n in corpus.good() if "orient" in n][:8]]
    lines = develop(tmp_path, config, "cut", {n: corpus.good()[n] for n in names})
    worst, lanczos = 0.0, Image.Resampling.LANCZOS
    for line in lines:
        upright = pillow.upright(corpus.good()[line["original"]["key"]]).convert("RGB")
        w, h = upright.size
        expected = {
            "middle": ImageOps.fit(upright, (140, 140), lanczos),
            "north": ImageOps.fit(upright, (120, 60), lanczos, centering=(0.5, 0)),
            "southeast": ImageOps.fit(upright, (60, 120), lanczos, centering=(1, 1)),
            "padded": ImageOps.pad(upright, (160, 144), lanczos, color=(0x20, 0x40, 0x60)),
            "stretched": upright.resize((90, 150), lanczos),
            "wide": pillow.thumbnail(upright, 130) if w >= h else None,
            "tall": pillow.thumbnail(upright, 130) if h >= w else None,
        }
        for variant in line["variants"]:
            want = expected[variant["name"]]
            if want is None:
                continue
            made = Image.open(tmp_path / "out" / variant["key"])
            assert made.format == "PNG" and variant["key"].endswith(".png") and variant["content_type"] == "image/png"
            assert made.size == want.size == (variant["width"], variant["height"]), variant
            difference = pillow.difference(made, want)
            worst = max(worst, difference)
            assert difference < 2, (line["original"]["key"], variant["name"], difference)
    say(f"{len(lines)} photos, seven variants: at most {worst:.2f} levels from Pillow on average")


def test_small_image_shrinks_the_box(tmp_path, config):
    [line] = develop(tmp_path, config, "cut", {"s.png": corpus.save(corpus.photo(90, 40), "PNG")})
    sizes = {v["name"]: (v["width"], v["height"]) for v in line["variants"]}
    assert sizes == {"middle": (40, 40), "north": (80, 40), "southeast": (20, 40), "padded": (90, 81), "stretched": (24, 40),
                     "wide": (90, 40), "tall": (90, 40)}


def test_upload_with_a_preset_keeps_its_promises(serve, config, receiver):
    server = serve(args=("--config", config))
    created = server.create(filename="me.JPG", preset="avatar")
    stem = f"image/{created['id']}"
    promised = {v["name"]: v["key"] for v in created["variants"]}
    assert promised == {"original": f"{stem}.jpg", "64": f"{stem}_64.webp", "card": f"{stem}_card.jpg", "tiny": f"{stem}_tiny.avif",
                        "best": None}
    assert boto3_style(created["presign"], PHOTO).status == 204
    manifest = server.finish(created["id"])["manifest"]
    assert manifest["preset"]["name"] == "avatar"
    made = {v["name"]: v for v in manifest["variants"]}
    assert {n: v["key"] for n, v in made.items()} == promised | {"best": f"{stem}_best.jpg"}
    assert (made["64"]["content_type"], made["64"]["width"], made["64"]["height"]) == ("image/webp", 64, 64)
    for variant in manifest["variants"]:
        got = requests.get(variant["url"])
        picture = Image.open(io.BytesIO(got.content))
        assert got.headers["Content-Type"] == variant["content_type"] == Image.MIME[picture.format]
        assert picture.size == (variant["width"], variant["height"])
    card = Image.open(io.BytesIO(requests.get(made["card"]["url"]).content))
    assert card.info.get("progressive") and np.abs(np.asarray(card)[3, 150].astype(int) - (0x20, 0x40, 0x60)).max() < 6
    assert receiver.wait(created["id"]).body["preset"] == manifest["preset"]

    again = server.call("POST", f"/v1/uploads/{created['id']}/retry")
    assert again.status_code == 202
    assert server.finish(created["id"])["manifest"]["variants"] == manifest["variants"]
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    assert all(requests.get(v["url"]).status_code in (403, 404) for v in manifest["variants"])


def test_keys_of_fixed_formats_are_promised_without_an_extension(serve, config):
    server = serve(args=("--config", config))
    created = server.create(preset="avatar")
    stem = f"image/{created['id']}"
    assert {v["name"]: v["key"] for v in created["variants"]} == {
        "original": None, "64": f"{stem}_64.webp", "card": f"{stem}_card.jpeg",
        "tiny": f"{stem}_tiny.avif", "best": None}
    assert boto3_style(created["presign"], corpus.save(corpus.photo(80, 60, mode="RGBA"), "PNG")).status == 204
    made = {v["name"]: v["key"] for v in server.finish(created["id"])["manifest"]["variants"]}
    assert made == {"original": f"{stem}.png", "64": f"{stem}_64.webp", "card": f"{stem}_card.jpeg",
                    "tiny": f"{stem}_tiny.avif", "best": f"{stem}_best.webp"}


def test_unknown_preset_is_refused(serve, config):
    server = serve(args=("--config", config))
    answer = server.call("POST", "/v1/uploads", json={"preset": "avatars"})
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_request"
    assert '"avatar"' in answer.json()["detail"]


def test_path_decides_for_what_nobody_asked_for(serve, config):
    server = serve(args=("--config", config))
    for key, preset in (("temp/avatars/a.jpg", "avatar"), ("temp/other/a.jpg", "default")):
        server.at.s3.put_object(Bucket=server.at.bucket, Key=key, Body=PHOTO, ContentType="image/jpeg")
        manifest = wait_for("manifest", lambda: next(
            (u["manifest"] for u in server.call("GET", "/v1/uploads").json()["uploads"]
             if u["manifest"] and u["manifest"]["original"]["key"] == key), None))
        assert manifest["preset"]["name"] == preset


def test_preset_that_is_gone_fails_until_it_is_back(serve, config):
    server = serve(args=("--config", config))
    created = server.create(filename="a.jpg", preset="avatar")
    server.stop()
    config.write_text("")
    server.start()
    assert boto3_style(created["presign"], PHOTO).status == 204
    failed = server.finish(created["id"])
    assert failed["error"]["code"] == "invalid_request" and '"avatar"' in failed["error"]["message"]
    server.stop()
    config.write_text(PRESETS)
    server.start()
    assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
    assert server.finish(created["id"])["manifest"]["preset"]["name"] == "avatar"


def test_two_inputs_for_one_key_of_another_format_are_refused(tmp_path, config):
    folder = corpus.write(tmp_path / "in", {"a.jpg": PHOTO, "a.png": corpus.save(corpus.photo(50, 40), "PNG")})
    done = tintype.run("process", "--config", config, "--preset", "avatar", "--out", tmp_path / "out", folder)
    assert done.returncode == 2 and "a.jpg" in done.stderr and "a.png" in done.stderr and "_64.webp" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_retry_and_a_deletion_leave_nothing_of_an_earlier_preset(serve, seaweedfs, receiver, config):
    """The second preset keeps one of three names; the third is one under which the image fails, so only the store knows the set before."""
    at, cards = seaweedfs.bucket("replaced"), lambda *names: "[presets.card]\nvariants = [" + ", ".join(
        f'{{ name = "{name}", width = {size} }}' for name, size in names) + "]\n"
    config.write_text(cards(("a", 40), ("b", 50), ("c", 60)))
    server = serve("replaced", receiver, args=("--config", config), env=at.env)

    def kept() -> set[str]:
        listed = at.s3.list_objects_v2(Bucket=at.bucket, Prefix="image/").get("Contents", [])
        return {each["Key"].replace(upload_id, "") for each in listed}

    def again(text: str) -> dict:
        server.stop()
        config.write_text(text)
        server.start()
        assert server.call("POST", f"/v1/uploads/{upload_id}/retry").status_code == 202
        return server.finish(upload_id)

    created = server.create(filename="a.jpg", preset="card")
    upload_id = created["id"]
    assert boto3_style(created["presign"], PHOTO).status == 204
    server.announce(at.bucket, created["presign"]["fields"]["key"])
    assert server.finish(upload_id)["status"] == "completed"
    manifest = f"image/{upload_id}.jpg.manifest.json"
    assert kept() == {"image/_a.jpg", "image/_b.jpg", "image/_c.jpg", "image/.jpg.manifest.json"}
    # Somebody who may write to the folder: what is another's is not removed for it.
    at.s3.put_object(Bucket=at.bucket, Key="image/other_a.jpg", Body=b"another's")
    told = json.loads(at.s3.get_object(Bucket=at.bucket, Key=manifest)["Body"].read())
    told["variants"].append(told["variants"][0] | {"key": "image/other_a.jpg"})
    at.s3.put_object(Bucket=at.bucket, Key=manifest, Body=json.dumps(told).encode())
    assert [each["name"] for each in again(cards(("b", 50), ("d", 70)))["manifest"]["variants"]] == ["b", "d"]
    assert kept() == {"image/_b.jpg", "image/_d.jpg", "image/.jpg.manifest.json", "image/other_a.jpg"}
    assert again(cards(("e", 80)) + "[limits]\nmax_pixels = 10\n")["status"] == "failed"
    assert server.call("DELETE", f"/v1/uploads/{upload_id}").status_code == 204
    assert kept() == {"image/other_a.jpg"}
    assert not at.s3.list_objects_v2(Bucket=at.bucket, Prefix="temp/").get("Contents")
