"""Whose keys are whose: no original, no result and no deletion touches what came of another."""
import hashlib
import itertools
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import corpus
from support import sets, tintype
from support.flaky import Flaky
from support.process import wait_for
from support.upload import boto3_style

PHOTOS = [corpus.save(corpus.photo(320, 240, seed), "JPEG") for seed in (7, 8)]
PNG = corpus.save(corpus.photo(320, 240, 10), "PNG")
FRESH = itertools.count()


def put(server, key: str, data: bytes) -> dict:
    """An original of one's own, to its end."""
    server.at.s3.put_object(Bucket="tintype", Key=key, Body=data, ContentType="image/jpeg")
    answer = server.call("POST", "/v1/events", json=tintype.notification("tintype", key))
    assert answer.status_code == 200 and len(answer.json()["accepted"]) == 1, answer.text
    return server.finish(answer.json()["accepted"][0])


def public(server, prefix: str) -> dict[str, str]:
    """Hashes of what lies where variants are."""
    found = server.at.s3.list_objects_v2(Bucket="tintype", Prefix=f"image/{prefix}").get("Contents", [])
    read = lambda key: server.at.s3.get_object(Bucket="tintype", Key=key)["Body"].read()
    return {one["Key"]: hashlib.sha256(read(one["Key"])).hexdigest() for one in found}


def folder() -> str:
    return f"own{next(FRESH)}"


# --- results -------------------------------------------------------------------------------------------------------------

def completed(server, data: bytes) -> dict:
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], data).status == 204
    assert server.finish(created["id"])["status"] == "completed"
    return created


@pytest.mark.parametrize("way", ["result", "processed_key", "seed"])
def test_a_result_names_no_others_variants_and_its_deletion_takes_none(embedded, way):
    victim = completed(embedded, PHOTOS[0])
    before = public(embedded, victim["id"])
    manifest = embedded.status(victim["id"])["manifest"]
    attacker = embedded.create(filename="b.jpg")
    path = f"/async_image_upload/presignedurl/{attacker['id']}/" if way == "seed" else f"/v1/uploads/{attacker['id']}/result"
    body = {"processed_key": manifest["variants"][0]["key"]} if way != "result" else \
        {"status": "completed"} | manifest | {"original": manifest["original"] | {"key": attacker["presign"]["fields"]["key"]}}
    answer = embedded.call("PUT", path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "foreign_variant"), answer.text
    assert embedded.status(attacker["id"])["status"] == "pending"
    assert embedded.call("DELETE", f"/v1/uploads/{attacker['id']}").status_code == 204
    assert public(embedded, victim["id"]) == before


def test_a_result_names_its_own_variants(embedded):
    """Those that a remote processor wrote, of the extension that it found."""
    created = embedded.create()
    key = f"image/{created['id']}_50x50.webp"
    embedded.at.s3.put_object(Bucket="tintype", Key=key, Body=PNG, ContentType="image/webp")
    answer = embedded.call("PUT", f"/v1/uploads/{created['id']}/result", json={"processed_key": key})
    assert answer.status_code == 200 and answer.json()["status"] == "completed", answer.text
    unknown = embedded.call("PUT", f"/v1/uploads/{created['id']}/result", json={"processed_key": f"image/{created['id']}_nobody.webp"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "foreign_variant")


def test_a_result_of_other_bytes_or_with_a_script_for_an_address_is_refused(embedded):
    created = completed(embedded, PHOTOS[0])
    manifest = embedded.status(created["id"])["manifest"]
    first, *rest = manifest["variants"]
    no_image = [{"content_type": "text/html"}, {"width": 0}, {"height": 99999999}, {"name": rest[0]["name"]}]
    for wrong, status in (*((one, 400) for one in no_image), ({"bytes": first["bytes"] + 1}, 409), ({"sha256": "0" * 64}, 409), ({"url": "javascript:alert(1)"}, 400), ({}, 200)):
        body = {"status": "completed"} | manifest | {"variants": [first | wrong, *rest]}
        answer = embedded.call("PUT", f"/v1/uploads/{created['id']}/result", json=body)
        assert answer.status_code == status, (wrong, answer.text)


@pytest.mark.parametrize("deployment", ["embedded", "seaweedfs+postgres"], indirect=True)
def test_a_result_and_retries_at_once_leave_one_of_their_two_ends(deployment):
    """`completed` with all of the set, or `failed` and nothing to read."""
    dice = random.Random(7)
    failed = {"status": "failed", "error": {"code": "x", "message": "y"}}

    def both(_):
        created = deployment.create(filename="a.jpg")
        assert boto3_style(created["presign"], PHOTOS[0]).status == 204
        deployment.announce(deployment.at.bucket, created["presign"]["fields"]["key"])
        deployment.finish(created["id"])
        path = f"/v1/uploads/{created['id']}"

        def ask(number):
            time.sleep(dice.random() * 0.3)
            answer = deployment.call("POST", f"{path}/retry") if number % 2 else deployment.call("PUT", f"{path}/result", json=failed)
            assert answer.status_code in (200, 202, 409), answer.text

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(ask, range(6)))
        return created["id"]

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(both, range(40)))

    def wrong():
        found = {}
        for upload in ids:
            status = deployment.status(upload)["status"]
            listed = deployment.at.s3.list_objects_v2(Bucket=deployment.at.bucket, Prefix=f"image/{upload}").get("Contents", [])
            if (status, len(listed)) not in (("completed", 9), ("failed", 0)):
                found[upload] = (status, len(listed))
        return found

    try:
        wait_for("every upload's end", lambda: not wrong(), 60, every=1)
    except TimeoutError:
        raise AssertionError(wrong()) from None


def test_no_worker_begins_while_the_variants_of_a_result_are_read(serve, seaweedfs):
    """However long that takes: here it is several leases."""
    at = seaweedfs.bucket(f"slow{next(FRESH)}")
    reading = threading.Event()

    def slow(method: str, key: str):
        return 0.8 if reading.is_set() and method == "GET" and not key.endswith(".json") else None
    proxy = Flaky(at.endpoint, slow)
    server = serve(env=at.env | {"TINTYPE_STORE__ENDPOINT": proxy.endpoint, "TINTYPE_QUEUE__LEASE": "2s"})
    try:
        created = server.create(filename="a.jpg")
        assert boto3_style(created["presign"], PHOTOS[0]).status == 204
        server.announce(at.bucket, created["presign"]["fields"]["key"])
        manifest = server.finish(created["id"])["manifest"]
        path = f"/v1/uploads/{created['id']}"
        reading.set()
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(server.call, "PUT", f"{path}/result", json={"status": "completed"} | manifest)
            wait_for("the first variant read", lambda: ("GET", manifest["variants"][0]["key"]) in proxy.heard, 20)
            before = len(proxy.heard)
            assert server.call("POST", f"{path}/retry").status_code == 202
            assert result.result().status_code == 200, result.result().text
            written = [key for method, key in proxy.heard[before:] if method == "PUT"]
        assert not written, "a worker wrote while the result was looked at"
        reading.clear()
        wait_for("the retry", lambda: ("PUT", manifest["variants"][0]["key"]) in proxy.heard[before:], 20)
    finally:
        proxy.stop()


def test_a_deletion_takes_nothing_of_names_that_begin_with_its_id(serve):
    server = serve(env={"TINTYPE_QUEUE__LEASE": "1s"})
    created = completed(server, PHOTOS[0])
    others = [f"temp/{created['id']}{rest}" for rest in ("-cropped.jpg", "x.jpg", "/mine.jpg")]
    for key in others:
        assert put(server, key, PHOTOS[1])["status"] == "completed"
    before = public(server, created["id"])
    assert len(before) == 9 * 4
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    time.sleep(8)  # it looks again after two leases
    left = public(server, created["id"])
    assert len(left) == 9 * 3 and left.items() <= before.items()


# --- keys that would meet ------------------------------------------------------------------------------------------------

def refused(upload: dict) -> str:
    assert (upload["status"], (upload["error"] or {}).get("code")) == ("failed", "key_conflict"), upload
    return upload["error"]["message"]


@pytest.mark.parametrize("name", ["a.jpg.manifest.json", "a_50x50.jpg", "a_blurred.jpg", "a_50x50_blurred.JPG"])
@pytest.mark.parametrize("first", [True, False], ids=["after", "before"])
def test_an_original_that_is_called_as_an_output_is_refused(embedded, receiver, name, first):
    below = folder()
    before = {}
    if first:
        assert put(embedded, f"temp/{below}/a.jpg", PHOTOS[0])["status"] == "completed"
        before = public(embedded, below)
    intruder = put(embedded, f"temp/{below}/{name}", PHOTOS[1])
    assert f"temp/{below}/{name}" in refused(intruder)
    assert public(embedded, below) == before
    told = wait_for("its callback", lambda: [r for r in receiver.received if intruder["id"] in r.path])
    assert told[-1].body["error"]["code"] == "key_conflict"
    if not first:
        assert put(embedded, f"temp/{below}/a.jpg", PHOTOS[0])["status"] == "completed"
        before = public(embedded, below)
    # Neither a deletion of it nor another try takes what it never had.
    assert embedded.call("POST", f"/v1/uploads/{intruder['id']}/retry").status_code == 202
    refused(embedded.finish(intruder["id"]))
    assert embedded.call("DELETE", f"/v1/uploads/{intruder['id']}").status_code == 204
    assert len(before) == 9 and public(embedded, below) == before


@pytest.mark.parametrize("second", ["temp/{}/a.JPG", "temp/{}/a.Jpg", "{}/a.jpg"])
def test_the_first_of_two_that_would_be_one_keeps_its_names(embedded, second):
    below = folder()
    assert put(embedded, f"temp/{below}/a.jpg", PHOTOS[0])["status"] == "completed"
    before = public(embedded, below)
    late = put(embedded, second.format(below), PHOTOS[1])
    assert f"temp/{below}/a.jpg" in refused(late)
    assert public(embedded, below) == before
    assert embedded.call("DELETE", f"/v1/uploads/{late['id']}").status_code == 204
    assert public(embedded, below) == before


MEETING = pytest.mark.parametrize("second", ["{}.JPG", "{}.jpeg", "{}"], ids=["case", "extension", "no extension"])


@pytest.mark.parametrize("second", ["temp/{}.JPG", "temp/{}.Jpg", "{}.jpg", "temp/{upper}.jpg"])
@pytest.mark.parametrize("first", ["upload", "own"])
def test_an_original_that_is_called_as_an_upload_takes_nothing_of_it(embedded, first, second):
    """An MD5 has as many digits as an id, and a program that writes to the bucket can use the id of an upload."""
    if first == "upload":
        id = completed(embedded, PHOTOS[0])["id"]
    else:
        id = hashlib.md5(os.urandom(16)).hexdigest()
        assert put(embedded, f"temp/{id}.jpg", PHOTOS[0])["status"] == "completed"
    before = public(embedded, id)
    other = put(embedded, second.format(id, upper=id.upper()), PHOTOS[1])
    if second == "temp/{upper}.jpg":
        assert other["status"] == "completed", "names differ by their case"
    else:
        assert f"temp/{id}.jpg" in refused(other)
    assert public(embedded, id) == before
    assert embedded.call("DELETE", f"/v1/uploads/{other['id']}").status_code == 204
    assert public(embedded, id) == before


def test_an_original_whose_variants_can_have_no_names_fails_at_once_and_is_deleted(embedded):
    long = put(embedded, f"temp/{'x' * 240}.jpg", PHOTOS[0])
    assert (long["status"], long["error"]["code"]) == ("failed", "invalid_request"), long
    assert embedded.call("DELETE", f"/v1/uploads/{long['id']}").status_code == 204
    assert not embedded.at.s3.list_objects_v2(Bucket="tintype", Prefix="temp/xxx").get("Contents")


@MEETING
@pytest.mark.parametrize("processes", [1, 2])
def test_of_two_that_come_at_once_one_has_the_names(serve, postgres, seaweedfs, second, processes):
    """`a.jpg` and `a.jpeg` meet nowhere, so both are developed; of the others one is refused, whichever process has it."""
    at = seaweedfs.bucket(f"meet{next(FRESH)}")
    env = at.env | {"TINTYPE_LEDGER__URL": postgres.database(), "TINTYPE_SERVER__WORKERS": "4"}
    servers = [serve(f"process{n}", env=env) for n in range(processes)]
    first = "{}.jpeg" if second == "{}" else "{}.jpg"
    for n in range(6):
        keys = [f"temp/{name.format(n)}" for name in (first, second)]
        for key, data in zip(keys, PHOTOS, strict=True):
            at.s3.put_object(Bucket=at.bucket, Key=key, Body=data, ContentType="image/jpeg")
        said = servers[0].call("POST", "/v1/events", json=tintype.notification(at.bucket, *keys)).json()
        uploads = [servers[-1].finish(upload_id) for upload_id in said["accepted"]]
        done = [upload for upload in uploads if upload["status"] == "completed"]
        refused = [upload["error"]["code"] for upload in uploads if upload["status"] == "failed"]
        assert (len(done), refused) == ((2, []) if second == "{}.jpeg" else (1, ["key_conflict"])), uploads
        for upload in done:
            assert not sets.foreign(at, upload["manifest"])


@pytest.mark.parametrize("processes", [1, 2])
def test_deleting_one_that_failed_takes_nothing_of_another_at_work(serve, postgres, seaweedfs, processes):
    at = seaweedfs.bucket(f"meet{next(FRESH)}")
    written, looking, done = threading.Event(), threading.Event(), threading.Event()

    def hold(method: str, key: str):
        if (method, key) == ("PUT", "image/k_400x400_blurred.jpg"):
            written.set()
            return looking  # the deletion looks what there is, before this set is sealed
        if (method, key) == ("GET", "image/k_50x50_blurred.jpg.manifest.json") and written.is_set():
            looking.set()
            return done  # and goes on once it is
    proxy = Flaky(at.endpoint, hold)
    env = at.env | {"TINTYPE_LEDGER__URL": postgres.database(), "TINTYPE_STORE__ENDPOINT": proxy.endpoint}
    one = other = serve("one", env=env)

    def send(key: str, data: bytes) -> str:
        at.s3.put_object(Bucket=at.bucket, Key=key, Body=data, ContentType="image/jpeg")
        return one.call("POST", "/v1/events", json=tintype.notification(at.bucket, key)).json()["accepted"][0]

    def delete() -> int:
        return other.call("DELETE", f"/v1/uploads/{failed}").status_code
    try:
        failed = send("temp/k.JPG", b"no image at all")
        assert one.finish(failed)["status"] == "failed"
        good = send("temp/k.jpg", PHOTOS[0])
        assert written.wait(20)
        if processes == 2:
            other = serve("other", env=env)
        threading.Timer(3, looking.set).start()  # it does not look at all while the other is at work
        deletion = threading.Thread(target=delete)
        deletion.start()
        upload = one.finish(good)
        assert upload["status"] == "completed"
        done.set()
        deletion.join()
        wait_for("the deletion", lambda: delete() in (204, 404), 30)
        assert not sets.foreign(at, upload["manifest"]) and sets.manifest(at, "image/k.jpg")
    finally:
        looking.set()
        done.set()
        for server in {one, other}:
            server.stop()
        proxy.stop()


def test_variants_of_one_format_do_not_meet_either(tmp_path):
    (tmp_path / "tintype.toml").write_text('[presets.default]\nvariants = [{ name = "original" }, { name = "64", width = 64, format = "webp" }]\n')
    server = tintype.Server(tmp_path, args=("--config", str(tmp_path / "tintype.toml")))
    try:
        assert put(server, "temp/a.jpg", PHOTOS[0])["status"] == "completed"
        before = public(server, "a")
        assert len(before) == 3
        late = put(server, "temp/a.png", PNG)
        assert "temp/a.jpg" in refused(late)
        assert server.call("DELETE", f"/v1/uploads/{late['id']}").status_code == 204
        assert public(server, "a") == before
    finally:
        server.stop()


def test_a_set_keeps_the_names_of_variants_that_its_preset_has_since(tmp_path):
    """Its manifest names none of them yet; the next retry would find them another's."""
    config = tmp_path / "tintype.toml"
    presets = lambda more: config.write_text(f'[presets.default]\nvariants = [{{ name = "original" }}, {{ name = "32", width = 32 }}{more}]\n')
    presets("")
    server = tintype.Server(tmp_path, args=("--config", str(config)))
    try:
        first = put(server, "temp/a.jpg", PHOTOS[0])
        assert first["status"] == "completed" and len(public(server, "a")) == 3, first["error"]
        server.stop()
        presets(', { name = "64", width = 64, format = "webp" }')
        server.start()
        assert "temp/a.jpg" in refused(put(server, "temp/a.png", PNG))
        assert server.call("POST", f"/v1/uploads/{first['id']}/retry").status_code == 202
        assert server.finish(first["id"])["status"] == "completed" and len(public(server, "a")) == 4
    finally:
        server.stop()
