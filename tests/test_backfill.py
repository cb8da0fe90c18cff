"""`tintype backfill`: what is in a bucket already, through the pipeline; killed, stopped, refused, and run again."""
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

import corpus
import pytest
from support import s3, tintype
from support.flaky import Flaky
from support.process import wait_for
from support.receiver import SECRET

VARIANTS = 8
SUMMARY = re.compile(r"^(\d+) done\b", re.M)


@dataclass
class Bucket:
    """A bucket with originals, and how to backfill it."""
    at: s3.Store
    folder: object

    def put(self, files: dict[str, bytes]) -> None:
        client = self.at.s3
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda item: client.put_object(Bucket=self.at.bucket, Key=item[0], Body=item[1]), files.items()))

    def listing(self, prefix: str = "") -> dict[str, tuple]:
        """Each key with what changes when it is written again."""
        pages = self.at.s3.get_paginator("list_objects_v2").paginate(Bucket=self.at.bucket, Prefix=prefix)
        return {o["Key"]: (o["ETag"], o["Size"], o["LastModified"]) for page in pages for o in page.get("Contents", [])}

    def manifest(self, key: str) -> dict:
        return json.loads(self.at.s3.get_object(Bucket=self.at.bucket, Key=key)["Body"].read())

    def manifests(self, keys: list[str]) -> list[dict]:
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(self.manifest, keys))

    def argv(self, prefix: str, *args, endpoint: str | None = None) -> list[str]:
        return ["backfill", f"s3://{self.at.bucket}/{prefix}", "--endpoint", endpoint or self.at.endpoint, *map(str, args)]

    @property
    def env(self) -> dict:
        return {name: value for name, value in self.at.env.items() if name.startswith("AWS_")}

    def run(self, prefix: str, *args, env: dict | None = None, endpoint: str | None = None, cwd=None):
        return tintype.run(*self.argv(prefix, *args, endpoint=endpoint), env=self.env | (env or {}), cwd=cwd or self.folder)

    def start(self, prefix: str, *args, out) -> subprocess.Popen:
        return subprocess.Popen([str(tintype.BINARY), *self.argv(prefix, *args)], stdout=out, stderr=subprocess.PIPE,
                                text=True, cwd=self.folder, env=os.environ | self.env)


@pytest.fixture
def bucket(seaweedfs, tmp_path, request):
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    return Bucket(seaweedfs.bucket(name), tmp_path)


def photos(count: int, folder: str = "photos") -> dict[str, bytes]:
    """Small ones of every format, no two alike, with names as people give them."""
    kinds = [("jpg", "JPEG", "RGB"), ("png", "PNG", "RGBA"), ("gif", "GIF", "P"), ("webp", "WEBP", "RGB"), ("bmp", "BMP", "RGB"),
             ("tif", "TIFF", "RGB"), ("JPG", "JPEG", "L"), ("", "JPEG", "RGB"), ("", "PNG", "RGB")]
    files = {}
    for n in range(count):
        extension, kind, mode = kinds[n % len(kinds)]
        name = f"{folder}/{2020 + n % 5}/{['IMG', 'a b', 'ü+1', 'x(y)'][n % 4]}_{n:03}"
        files[name + ("." if extension else "") + extension] = corpus.save(corpus.photo(40 + n % 60, 30 + n % 50, n, mode), kind)
    return files


def broken(count: int, folder: str = "photos") -> dict[str, bytes]:
    bad = [data for data, _ in corpus.broken().values() if len(data) < 200_000]
    return {f"{folder}/broken/{n:02}.jpg": bad[n % len(bad)] for n in range(count)}


def report(text: str) -> dict:
    """The numbers of the last line."""
    line = next(line for line in reversed(text.splitlines()) if SUMMARY.match(line))
    number = lambda pattern: int(found[1]) if (found := re.search(pattern, line)) else 0
    return {"done": number(r"^(\d+) done"), "already": number(r"(\d+) done already"), "known": number(r"(\d+) by the checkpoint"),
            "by_manifest": number(r"(\d+) by their manifests"), "failed": number(r"(\d+) failed(?! before)"),
            "failed_before": number(r"(\d+) failed before"), "skipped": number(r"(\d+) skipped by name")}


def survey(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def checkpoint_lines(folder) -> list[dict]:
    """The whole lines of the one checkpoint in a folder, without the header."""
    found = list(folder.glob("tintype-backfill-*.jsonl"))
    if not found:
        return []
    return [json.loads(line) for line in found[0].read_text().splitlines(keepends=True)[1:] if line.endswith("\n")]


def check_all_there(bucket: Bucket, originals: set[str]) -> None:
    """Every original has its manifest and all it names."""
    listing = bucket.listing("image/")
    manifests = bucket.manifests([key for key in listing if key.endswith(".manifest.json")])
    for manifest in manifests:
        assert len(manifest["variants"]) == VARIANTS
        for variant in manifest["variants"]:
            assert listing[variant["key"]][1] == variant["bytes"], variant
    assert {manifest["original"]["key"] for manifest in manifests} == originals


def test_five_hundred_objects_killed_twice(bucket, say):
    good, bad = photos(474), broken(20)
    notes = {f"photos/notes/{n}.txt": b"not a photo" for n in range(5)}
    marks = {"photos/empty/": b""}
    bucket.put(good | bad | notes | marks)
    # SeaweedFS has no use for marks of folders and may not list them.
    count = len(bucket.listing("photos/"))
    assert count in (499, 500)
    before = bucket.listing()

    first = survey(bucket.run("photos/", "--dry-run", "--json"))
    assert first["listed"] == {"objects": count, "bytes": sum(map(len, (good | bad | notes).values()))}
    assert first["to_do"]["objects"] == 494 and first["done_by_manifest"]["objects"] == 0
    assert first["skipped_by_name"] == {"txt": {"objects": 5, "bytes": 5 * len(b"not a photo")}}
    assert first["to_write"] == first["requests"]["put"] == 494 * (VARIANTS + 1)
    without_extension = sum("." not in key.rsplit("/", 1)[-1] for key in good)
    looks = 494 - without_extension + 6 * without_extension
    assert first["requests"]["get"] == looks + 2 * 494 and first["own_requests"]["get"] == looks
    assert first["requests"]["head"] == 0 and 0 < first["requests"]["list"] < 5
    listed = first["requests"]
    expected = (listed["put"] + listed["list"]) * 0.005e-3 + (listed["get"] + listed["head"]) * 0.0004e-3
    assert first["dollars"]["requests"] == pytest.approx(expected)
    assert bucket.listing() == before and not list(bucket.folder.iterdir()), "a dry run wrote something"

    seed = random.SystemRandom().randrange(1 << 32)
    rng = random.Random(seed)
    print(f"seed {seed}")
    told, finished, began = [], {}, time.monotonic()
    at = [rng.randrange(20, 200), rng.randrange(220, 440)]
    for run, lines in enumerate([*at, None]):
        out = bucket.folder / f"out{run}.jsonl"
        with open(out, "w") as stdout:
            child = bucket.start("photos/", "--json", out=stdout)
            if lines is None:
                _, stderr = child.communicate(timeout=120)
            else:
                wait_for("some work", lambda: len(checkpoint_lines(bucket.folder)) >= lines or child.poll() is not None, 120, 0.005)
                time.sleep(rng.uniform(0, 0.05))
                child.kill()
                child.communicate()
                assert child.returncode == -signal.SIGKILL
        told += [json.loads(line) for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")]
        listing = bucket.listing("image/")
        for key, state in finished.items():
            assert listing[key] == state, f"{key} was written again after a kill (seed {seed})"
        finished = {key: state for key, state in listing.items() if key.endswith(".manifest.json")}
        # Of an original whose manifest is there nothing is to change any more.
        for manifest in bucket.manifests(list(finished)):
            finished |= {variant["key"]: listing[variant["key"]] for variant in manifest["variants"]}
    say(f"500 objects, killed after {at[0]} and {at[1]}: {time.monotonic() - began:.1f} s (seed {seed})")

    assert child.returncode == 1, stderr
    last = report(stderr)
    assert "going on from there" in stderr
    assert last["done"] + last["already"] + last["failed"] + last["failed_before"] + last["skipped"] == 499
    assert last["known"] >= at[1] - last["failed_before"] and last["skipped"] == 5
    assert last["failed"] + last["failed_before"] == len(bad)
    check_all_there(bucket, set(good))
    # Each object was told of, whatever the kills did; each broken one with a code.
    assert {line["original"]["key"] for line in told} == set(good | bad)
    errors = {line["original"]["key"]: line["error"] for line in told if "error" in line}
    assert set(errors) == set(bad) and all(error["code"] and error["message"] for error in errors.values())
    assert {line["key"] for line in checkpoint_lines(bucket.folder)} == set(good | bad)

    # A second run does nothing, and neither does one without a checkpoint.
    state = bucket.listing()
    again = bucket.run("photos/")
    assert again.returncode == 1 and again.stdout == ""
    assert report(again.stderr) == {"done": 0, "already": 474, "known": 474, "by_manifest": 0, "failed": 0,
                                    "failed_before": 20, "skipped": 5}
    elsewhere = bucket.folder / "elsewhere"
    elsewhere.mkdir()
    after = survey(bucket.run("photos/", "--dry-run", "--json", cwd=elsewhere))
    assert after["done_by_manifest"]["objects"] == 474 and after["to_do"]["objects"] == 20
    assert after["requests"]["head"] == 474 * VARIANTS and after["own_requests"]["head"] == 474 * VARIANTS
    with_checkpoint = survey(bucket.run("photos/", "--dry-run", "--json"))
    assert with_checkpoint["done_by_checkpoint"]["objects"] == 474 and with_checkpoint["failed_before"]["objects"] == 20
    assert with_checkpoint["to_do"]["objects"] == 0 and with_checkpoint["requests"]["get"] == 0
    without = bucket.run("photos/", cwd=elsewhere)
    counts = report(without.stderr)
    assert (counts["done"], counts["by_manifest"], counts["failed"]) == (0, 474, 20)
    assert bucket.listing() == state

    # What failed is tried again if asked for: one is mended since, which makes it another object anyway.
    mended = sorted(bad)[0]
    bucket.put({mended: good[sorted(good)[0]]})
    counts = report(bucket.run("photos/").stderr)
    assert (counts["done"], counts["failed"], counts["failed_before"]) == (1, 0, 19)
    counts = report(bucket.run("photos/", "--retry-failed").stderr)
    assert (counts["done"], counts["failed"], counts["failed_before"]) == (0, 19, 0)


def test_another_preset_version_does_all_again_at_the_rate_asked_for(bucket):
    bucket.put(photos(24))
    assert bucket.run("").returncode == 0, "the whole bucket"
    first = bucket.listing("image/")
    began = time.monotonic()
    done = bucket.run("", "--rate", "10/s", env={"TINTYPE_VARIANTS__QUALITY": "60"})
    took = time.monotonic() - began
    assert done.returncode == 0 and report(done.stderr)["done"] == 24, done.stderr
    assert 2.3 <= took < 10, "24 at 10/s take 2.3 s"
    second = bucket.listing("image/")
    assert set(second) == set(first)
    assert all(second[key] != first[key] for key in first if key.endswith(".manifest.json"))
    # The whole bucket holds the folder of variants, which is not looked at.
    assert survey(bucket.run("", "--dry-run", "--json"))["listed"]["objects"] == 24


def test_a_preset_by_its_name_and_by_the_folder(bucket):
    bucket.put(photos(4, "temp/avatars") | photos(3, "photos"))
    (bucket.folder / "tintype.toml").write_text(
        '[presets.avatar]\npaths = ["temp/avatars/"]\nvariants = [{ name = "64", width = 64, format = "webp" }]\n')
    assert bucket.run("").returncode == 0
    keys = set(bucket.listing("image/"))
    assert "image/avatars/2020/IMG_000_64.webp" in keys, "below upload.prefix the prefix is dropped"
    assert "image/photos/2020/IMG_000_50x50.jpg" in keys, "elsewhere the key is kept whole"
    done = bucket.run("photos/", "--preset", "avatar")
    assert done.returncode == 0 and report(done.stderr)["done"] == 3
    assert bucket.run("", "--preset", "nobody").returncode == 2


def test_names_that_are_alike_do_not_write_over_each_other(bucket):
    photo = iter(photos(3).values())
    bucket.put({"p/a.JPG": next(photo), "p/a.jpg": next(photo), "p/b.bin": next(photo)})
    done = bucket.run("p/", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    refused = [line for line in lines if "error" in line]
    assert len(lines) == 3 and len(refused) == 1 and refused[0]["error"]["code"] == "key_conflict"
    winner = next(line for line in lines if line["original"]["key"].lower() == "p/a.jpg" and "error" not in line)
    assert winner["original"]["key"] in refused[0]["error"]["message"]
    assert bucket.manifest("image/p/a.jpg.manifest.json")["original"] == winner["original"]


def test_names_that_no_key_can_have(ceph, tmp_path):
    """Of a store that takes any name: the rest of the page is not lost with them."""
    bucket = Bucket(ceph.bucket("odd-names"), tmp_path)
    photo = corpus.save(corpus.photo(40, 30), "JPEG")
    good = {"p/ä b+c%20&.jpg", "p/~x'!*(1)", "p/a b "}
    bucket.put(dict.fromkeys(good | {"p//slashes.jpg", "p/../up.jpg"}, photo) | {"p/folder/": b""})
    done = bucket.run("p/", "--json")
    lines = {line["original"]["key"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1 and set(lines) == good | {"p//slashes.jpg", "p/../up.jpg"}, done.stderr
    assert {key for key, line in lines.items() if "error" not in line} == good
    assert {line["error"]["code"] for line in lines.values() if "error" in line} == {"invalid_request"}
    check_all_there(bucket, good)


def test_sigterm_finishes_what_is_in_work(bucket):
    bucket.put(photos(60))
    child = bucket.start("photos/", "--rate", "20/s", out=subprocess.DEVNULL)
    wait_for("some work", lambda: len(checkpoint_lines(bucket.folder)) >= 5)
    # Meanwhile nobody else takes the same checkpoint.
    other = bucket.run("photos/")
    assert other.returncode == 2 and "another backfill is running" in other.stderr, other.stderr
    child.send_signal(signal.SIGTERM)
    _, stderr = child.communicate(timeout=20)
    assert child.returncode == 1 and "stopping" in stderr and "goes on from here" in stderr, stderr
    done = {line["key"] for line in checkpoint_lines(bucket.folder)}
    assert 5 <= len(done) < 60
    check_all_there(bucket, done)
    rest = bucket.run("photos/")
    assert rest.returncode == 0
    assert report(rest.stderr) | {"done": 60 - len(done), "known": len(done), "by_manifest": 0} == report(rest.stderr)
    check_all_there(bucket, set(photos(60)))


def test_a_store_that_fails_now_and_then(bucket):
    files = photos(12)
    bucket.put(files)
    first, *others = sorted(files)
    never, at_first, seen = {first}, set(others[:3]), Counter()

    def refuse(method, key):
        seen[method, key] += 1
        return method == "GET" and (key in never or (key in at_first and seen[method, key] <= 4))

    flaky = Flaky(bucket.at.endpoint, refuse)
    file = bucket.folder / "checkpoint"
    try:
        done = bucket.run("photos/", "--checkpoint", file, "--json", endpoint=flaky.endpoint)
        lines = {line["original"]["key"]: line for line in map(json.loads, done.stdout.splitlines())}
        assert done.returncode == 1 and len(lines) == 12
        assert lines[first]["error"]["code"] == "store_unavailable"
        assert all("error" not in lines[key] for key in others)
        never.clear()
        again = bucket.run("photos/", "--checkpoint", file, endpoint=flaky.endpoint)
        assert again.returncode == 0, again.stderr
        assert (report(again.stderr)["done"], report(again.stderr)["known"]) == (1, 11)
    finally:
        flaky.stop()


def test_a_store_that_is_down_is_left_alone(bucket):
    bucket.put({f"photos/{n:03}.jpg": b"not read" for n in range(150)})
    flaky = Flaky(bucket.at.endpoint, lambda method, key: bool(key))
    try:
        done = bucket.run("photos/", "--workers", "60", endpoint=flaky.endpoint)
    finally:
        flaky.stop()
    assert done.returncode == 1 and "failed too often in a row" in done.stderr, done.stderr
    assert 50 <= report(done.stderr)["failed"] < 150
    assert bucket.listing("image/") == {}


def test_what_the_service_did_is_left_alone(serve, tmp_path):
    server = serve()
    bucket = Bucket(s3.Store("embedded", server.store, "tintype", s3.tintype_env(server.store, "tintype")), tmp_path)
    files = photos(10, "temp")
    bucket.put(files)
    manifests = lambda: [key for key in bucket.listing("image/") if key.endswith(".manifest.json")]
    wait_for("the service's work", lambda: len(manifests()) == len(files))
    state = bucket.listing()
    done = bucket.run("temp/")
    assert done.returncode == 0 and report(done.stderr)["by_manifest"] == 10, done.stderr
    assert bucket.listing() == state
    # A variant that is gone is made again.
    gone = next(key for key in bucket.listing("image/") if key.endswith("_50x50.png"))
    bucket.at.s3.delete_object(Bucket="tintype", Key=gone)
    again = bucket.run("temp/", "--checkpoint", "other.jsonl")
    assert (report(again.stderr)["done"], report(again.stderr)["by_manifest"]) == (1, 9), again.stderr
    assert gone in bucket.listing("image/")


def test_the_backend_is_told_if_that_is_asked_for(bucket, receiver):
    files = photos(6) | broken(1)
    bucket.put(files)
    env = {"CALLBACK_URL": f"{receiver.url}/{bucket.at.bucket}/{{key}}", "TINTYPE_CALLBACK__SECRET": SECRET}
    told = lambda answered: [r for r in receiver.received if r.path.startswith(f"/{bucket.at.bucket}/") and r.answered == answered]
    assert bucket.run("photos/", "--checkpoint", bucket.folder / "silent", env=env).returncode == 1 and not told(200)

    # The backend is down for one of them, all four times.
    down = quote(sorted(photos(6))[0])
    receiver.answer(f"/{bucket.at.bucket}/{down}", *[500] * 4)
    written = bucket.listing("image/")
    first = bucket.run("photos/", "--callback", env=env)
    assert first.returncode == 1, first.stderr
    assert len(told(200)) == len(files) - 1 and len(told(500)) == 4
    assert [line["error"]["code"] for line in checkpoint_lines(bucket.folder) if line.get("retryable")] == ["callback_failed"]
    again = bucket.run("photos/", "--callback", env=env)
    assert len(told(200)) == len(files), again.stderr
    bodies = [r.verify() for r in told(200)]
    assert sorted(b["original"]["key"] for b in bodies) == sorted(files)
    assert [b["error"]["code"] != "" for b in bodies if b["status"] == "failed"] == [True]
    assert len({r.webhook_id for r in told(500) + told(200)}) == len(files), "one id for each, over all tries"
    assert bucket.listing("image/") == written, "no pixel was touched for it"

    nobody = bucket.run("photos/", "--callback")
    assert nobody.returncode == 2 and "CALLBACK_URL" in nobody.stderr


def test_wrong_usage(bucket):
    def refused(*args, says: str, env: dict | None = None):
        done = tintype.run("backfill", *args, env=bucket.env | (env or {}), cwd=bucket.folder)
        assert done.returncode == 2 and says in done.stderr, done.stderr
        assert done.stdout == ""

    here = f"s3://{bucket.at.bucket}/photos/"
    refused(says="<ADDRESS>")
    refused("photos/", says="write s3://BUCKET")
    refused("s3://", says="no name of a bucket")
    refused("s3://bucket//a", says="begin without a slash")
    refused(here, "--rate", "20", says='write "20/s"')
    refused(here, "--rate", "0/s", says='write "20/s"')
    refused(here, "--workers", "0", says="--workers")
    refused(here, "--endpoint", "localhost:9000", says="--endpoint")
    refused(f"s3://{bucket.at.bucket}/image/2020", says="where variants go")
    refused(here, "--config", "none.toml", says="no such file")
    refused(here, env={"TINTYPE_VARIANTS__QUALITY": "0"}, says="variants.quality")
    # A file that is something else is refused, and stays as it is.
    (bucket.folder / "letter").write_text("Dear all")
    refused(here, "--checkpoint", "letter", says="no checkpoint")
    assert (bucket.folder / "letter").read_text() == "Dear all"


def test_a_checkpoint_of_another_bucket_is_refused(bucket):
    bucket.put(photos(2))
    file = bucket.folder / "mine.jsonl"
    assert bucket.run("photos/", "--checkpoint", file).returncode == 0
    text = file.read_text()
    for args, says in [(("s3://another/photos/",), f"it is of bucket {bucket.at.bucket}, and this run is of bucket another"),
                       ((f"s3://{bucket.at.bucket}/other/",), 'prefix "photos/"')]:
        for dry in ((), ("--dry-run",)):
            done = tintype.run("backfill", *args, "--endpoint", bucket.at.endpoint, "--checkpoint", file, *dry, env=bucket.env)
            assert done.returncode == 2 and says in done.stderr, done.stderr
    assert file.read_text() == text
    # Cut off in the middle of a line, as by a lack of power: that object is found by its manifest.
    file.write_text(text[:-20])
    done = bucket.run("photos/", "--checkpoint", file)
    assert done.returncode == 0
    assert (report(done.stderr)["known"], report(done.stderr)["by_manifest"]) == (1, 1)
    assert Counter(file.read_text()) == Counter(text)


def test_a_bucket_that_is_not_there_and_a_store_that_is_not_either(bucket):
    done = tintype.run("backfill", "s3://no-such-bucket", "--endpoint", bucket.at.endpoint, env=bucket.env, cwd=bucket.folder)
    assert done.returncode == 1 and "cannot be listed" in done.stderr and "NoSuchBucket" in done.stderr, done.stderr
    wrong = bucket.env | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    done = bucket.run("", "--dry-run", env=wrong)
    assert done.returncode == 1 and "denied" in done.stderr and "AWS_ACCESS_KEY_ID" in done.stderr, done.stderr


def test_what_the_api_gave_a_key_to_keeps_the_preset_it_was_asked_for_with(bucket):
    """Its folder says nothing of that, and the default would make public what the other hides."""
    (bucket.folder / "tintype.toml").write_text(
        '[presets.avatar]\nmetadata = "none"\nvariants = [{ name = "original" }, { name = "small", width = 20 }]\n')
    given, own = "temp/" + "0a" * 16 + ".jpg", "temp/mine.jpg"
    exif = corpus.exif()
    exif[0x010F] = "Acme"
    photo = corpus.save(corpus.photo(64, 48), "JPEG", exif=exif)
    bucket.put({given: photo, own: photo})
    assert bucket.run("temp/", "--preset", "avatar", "--checkpoint", "first.jsonl").returncode == 0
    before = bucket.listing("image/" + "0a" * 16)
    assert len(before) == 3
    planned = bucket.run("temp/", "--dry-run", "--checkpoint", "second.jsonl")
    assert planned.returncode == 0 and re.search(r"done already +1 objects", planned.stdout + planned.stderr), planned
    assert bucket.run("temp/", "--checkpoint", "second.jsonl").returncode == 0
    assert bucket.listing("image/" + "0a" * 16) == before, "nothing of it is written"
    assert bucket.manifest("image/" + "0a" * 16 + ".jpg.manifest.json")["preset"]["name"] == "avatar"
    assert bucket.manifest("image/mine.jpg.manifest.json")["preset"]["name"] == "default", "of one's own key the folder says"
    # New sizes of that preset come to it.
    (bucket.folder / "tintype.toml").write_text(
        '[presets.avatar]\nmetadata = "none"\nvariants = [{ name = "original" }, { name = "tiny", width = 10 }]\n')
    assert bucket.run("temp/", "--checkpoint", "third.jsonl").returncode == 0
    manifest = bucket.manifest("image/" + "0a" * 16 + ".jpg.manifest.json")
    assert [variant["name"] for variant in manifest["variants"]] == ["original", "tiny"]
    made = bucket.at.s3.get_object(Bucket=bucket.at.bucket, Key="image/" + "0a" * 16 + ".jpg")["Body"].read()
    assert b"Acme" in photo and b"Acme" not in made
