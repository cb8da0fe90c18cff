"""An upload is one image, for good: the first accepted bytes win. Keys of one's own: the newest version wins."""
import base64
import hashlib
import os
import random
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import corpus
from support import tintype
from support.flaky import Flaky
from support.process import wait_for
from support.tintype import notification
from support.upload import boto3_style

A = corpus.save(corpus.photo(320, 240, 1), "JPEG", quality=85)
B = corpus.save(corpus.photo(320, 240, 2), "JPEG", quality=85)
SMALL = corpus.good()["baseline.jpg"]
# How many replays: real stores are slower than a refusal. The long form:  REPLAYS=1000 ./test -k replays
REPLAYS = {"embedded": 1000, "seaweedfs": 120, "ceph": 60}
LONG = int(os.environ.get("REPLAYS", 0))
STORES = pytest.mark.parametrize("deployment", REPLAYS, indirect=True)
# The head of a JPEG: a comment that ends in two blocks which make a collision of MD5 (fastcoll by M. Stevens). What follows is any other
# JPEG without its first two bytes.
ONE = base64.b64decode("""
/9j//gC8VHdvIGZpbGVzIG9mIG9uZSBNRDU6IHRoZSBibG9ja3MgYmVsb3cgZGlmZmVyLiAgICAgICAgICAgIKuPFPhSCj8FMkITEuFRXRIXuYNnTQ/m+/rR
QKmqFzYPOeH64lLMO5mLJti85lEJXE9FO09mvmTuBf0Rp+C13l23mtKjjqfn5UCsXm68QLMb4xT8JxXgAi0kWaEVTTqCzi0fvxeTLZsmBqrZ0ZWo6Xwe2eds
xMEjH6QUcv0aYP3o
""")
OTHER = bytes(byte ^ {83: 128, 109: 128, 123: 128, 147: 128, 173: 128, 187: 128}.get(at, 0) for at, byte in enumerate(ONE))


def other(n: int, data: bytes = A) -> bytes:
    """The same picture, to the eye: a few bytes after its end differ."""
    return data + f"replay {n}".encode()


def send(deployment, created: dict, data: bytes) -> int:
    """By form or PUT, as the ticket says; the store's event in its stead, where it sends none."""
    presign = created["presign"]
    if presign["method"] == "POST":
        status = boto3_style(presign, data).status
    else:
        status = requests.put(presign["url"], data=data, headers=presign["headers"], timeout=60).status_code
    if 200 <= status < 300 and not deployment.at.notifies:
        deployment.announce(deployment.at.bucket, f"temp/{created['id']}.jpg")
    return status


def variants(manifest: dict) -> dict[str, str]:
    """What is read, whatever the manifest says."""
    read = {v["name"]: requests.get(v["url"], timeout=30) for v in manifest["variants"]}
    assert {answer.status_code for answer in read.values()} == {200}
    return {name: hashlib.sha256(answer.content).hexdigest() for name, answer in read.items()}


def said(manifest: dict) -> dict[str, str]:
    return {v["name"]: v["sha256"] for v in manifest["variants"]}


def attempts(server, upload_id: str) -> list[str]:
    """The outcome of every try of every job."""
    with sqlite3.connect(server.home / "data/tintype.db", timeout=30) as db:
        rows = db.execute("SELECT outcome FROM job_attempts WHERE upload_id = ? AND job_id IS NOT NULL ORDER BY id", (upload_id,))
        return [row[0] for row in rows]


def quiet(server) -> None:
    """No job and no callback is left to be done."""
    def nothing_left():
        return not server.call("GET", "/readyz").json()["jobs"] and not server.call("GET", "/v1/deliveries?status=pending").json()["deliveries"]
    wait_for("all done", nothing_left, 120)


def stale(server, how: str) -> float:
    lines = server.call("GET", "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f'tintype_stale_bytes_total{{how="{how}"}}'))


# --- under one credential ---

@STORES
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_replays_after_the_end_change_nothing(deployment, receiver, method, say):
    count = LONG or REPLAYS[deployment.at.name] // (1 if method == "POST" else 4)
    created = deployment.create(filename="a.jpg", content_type="image/jpeg", method=method)
    assert send(deployment, created, A) in (200, 204)
    before = deployment.finish(created["id"])
    assert before["status"] == "completed" and variants(before["manifest"]) == said(before["manifest"])
    receiver.wait(created["id"])

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: send(deployment, created, other(n)), range(count)))
    took = time.monotonic() - began
    if deployment.at.name == "embedded":
        assert set(statuses) == {409}
    elif method == "PUT":
        assert set(statuses) == {412}, "the signed If-None-Match holds"
    quiet(deployment)
    after = deployment.status(created["id"])
    assert after == before and variants(before["manifest"]) == said(before["manifest"])
    assert attempts(deployment, created["id"]) == ["completed"], "one job"
    assert len(receiver.of(created["id"], 200)) == 1, "no second outcome is told"
    say(f"{deployment.at.name}, {method}: {count} replays answered {sorted(set(statuses))} in {took:.1f} s; one job, one callback")


@STORES
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_replays_before_the_end_leave_one_winner(deployment, receiver, method, say):
    """Replays at random before the end, from many threads: each upload is one of the files that were sent, and one alone."""
    dice, count = random.Random(3), LONG // 6 or (8 if deployment.at.name == "embedded" else 4)
    tickets = [deployment.create(filename="a.jpg", content_type="image/jpeg", method=method) for _ in range(count)]
    jobs = [(ticket, n) for ticket in tickets for n in range(6)]
    dice.shuffle(jobs)
    sent = {other(n, B): n for n in range(6)}
    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(lambda job: (job[0]["id"], send(deployment, job[0], other(job[1], B))), jobs))
    quiet(deployment)
    hashes = {hashlib.sha256(data).hexdigest() for data in sent}
    for ticket in tickets:
        upload = deployment.finish(ticket["id"])
        taken = sum(200 <= status < 300 for upload_id, status in done if upload_id == ticket["id"])
        if deployment.at.name == "embedded":  # others look whether there is one, and then write
            assert taken == 1 and upload["status"] == "completed", (taken, upload)
        if upload["status"] == "completed":
            assert upload["manifest"]["original"]["sha256"] in hashes
            assert variants(upload["manifest"]) == said(upload["manifest"])
        else:
            assert upload["error"]["code"] == "original_changed", upload
        assert len(attempts(deployment, ticket["id"])) == 1, "one job, whatever came"
        assert len({call.webhook_id for call in receiver.of(ticket["id"], 200)}) == 1, "one outcome"
    say(f"{deployment.at.name}, {method}: {len(jobs)} files under {count} credentials; one job and one outcome each")


def test_the_embedded_store_refuses_a_second_file_and_says_so(serve):
    server = serve()
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], A).status == 204
    answer = boto3_style(created["presign"], B)
    assert (answer.status, answer.code) == (409, "ObjectAlreadyExists") and "new upload" in answer.text
    key = created["presign"]["fields"]["key"]
    with pytest.raises(Exception, match="ObjectAlreadyExists"):
        server.at.s3.put_object(Bucket="tintype", Key=key, Body=B)
    assert server.finish(created["id"])["status"] == "completed"
    assert server.at.s3.get_object(Bucket="tintype", Key=key)["Body"].read() == A
    assert stale(server, "refused") >= 2
    moments = server.call("GET", f"/v1/uploads/{created['id']}/timeline").json()["moments"]
    told = [moment["says"] for moment in moments if moment["what"] == "ignored"]
    assert len(told) == 1 and "2 times" in told[0], told


def test_a_refusal_comes_before_the_body_is_read(serve):
    """The file would be refused as too large, had it been read."""
    server = serve(env={"TINTYPE_UPLOAD__MAX_BYTES": "100000"})
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], A).status == 204
    assert boto3_style(created["presign"], b"x" * 200_000).code == "ObjectAlreadyExists"


def test_events_of_other_bytes_are_ignored_and_told(deployment_seaweed, receiver):
    server = deployment_seaweed
    created = server.create(filename="a.jpg")
    assert send(server, created, A) == 204
    first = server.finish(created["id"])
    before = stale(server, "replaced")
    for _ in range(3):
        assert boto3_style(created["presign"], B).status == 204, "a store takes any form"
        answer = server.call("POST", "/v1/events", json=notification(server.at.bucket, f"temp/{created['id']}.jpg")).json()
        assert answer["accepted"] == [] and "came first" in answer["ignored"][0]["reason"]
    assert stale(server, "replaced") == before + 3
    moments = server.call("GET", f"/v1/uploads/{created['id']}/timeline").json()["moments"]
    assert ["3 times" in moment["says"] for moment in moments if moment["what"] == "ignored"] == [True]
    # The original is what was developed, or nothing.
    retried = server.call("POST", f"/v1/uploads/{created['id']}/retry")
    assert (retried.status_code, retried.json()["code"]) == (409, "original_changed")
    assert server.status(created["id"]) == first and variants(first["manifest"]) == said(first["manifest"])


def test_a_late_event_after_the_originals_time_tells_the_same(serve, seaweedfs, receiver):
    """A redriven event of a finished upload: what is sealed is told from the manifest."""
    at = seaweedfs.bucket(f"late{random.randrange(10**9)}")
    server = serve(env=at.env)
    server.at = at
    created = server.create(filename="a.jpg", metadata={"id": "7"})
    assert send(server, created, A) == 204
    first = server.finish(created["id"])
    told = receiver.wait(created["id"])
    key = created["presign"]["fields"]["key"]
    event = notification(at.bucket, key)
    event["Records"][0]["s3"]["object"]["eTag"] = first["manifest"]["original"]["etag"]
    at.s3.delete_object(Bucket=at.bucket, Key=key)
    assert server.call("POST", "/v1/events", json=event).json()["accepted"] == [created["id"]]
    again = wait_for("it is told again", lambda: receiver.of(created["id"], 200)[1:])[0]
    assert (again.webhook_id, again.body) == (told.webhook_id, told.body)
    assert server.status(created["id"]) == first and variants(first["manifest"]) == said(first["manifest"])


def test_replaceable_lets_the_newest_win(serve, receiver):
    server = serve(env={"TINTYPE_UPLOAD__REPLACEABLE": "true"})
    created = server.create(filename="a.jpg")
    put = server.create(filename="a.jpg", method="PUT")
    assert "If-None-Match" not in put["presign"]["headers"]
    for data in (A, B, A):
        assert boto3_style(created["presign"], data).status == 204
        sha256 = hashlib.sha256(data).hexdigest()
        upload = wait_for("developed", lambda: (u := server.finish(created["id"]))["manifest"] and u["manifest"]["original"]["sha256"] == sha256 and u)
        assert variants(upload["manifest"]) == said(upload["manifest"])


# --- keys of one's own ---

@pytest.fixture
def deployment_seaweed(serve, seaweedfs):
    at = seaweedfs.bucket(f"first{random.randrange(10**9)}")
    server = serve("first", env=at.env)
    server.at = at
    return server


def told_of(server, key: str, etag: str | None, sequencer: str | None) -> dict:
    event = notification(server.at.bucket, key)
    described = event["Records"][0]["s3"]["object"]
    described.pop("sequencer")
    described |= {"sequencer": sequencer} if sequencer else {}
    described |= {"eTag": etag} if etag else {}
    answer = server.call("POST", "/v1/events", json=event)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("ordered", [True, False], ids=["with-sequencers", "without"])
def test_a_late_or_doubled_event_of_an_older_version_turns_nothing_back(deployment_seaweed, receiver, ordered):
    server, key = deployment_seaweed, "temp/own/avatar.jpg"
    put = lambda data: server.at.s3.put_object(Bucket=server.at.bucket, Key=key, Body=data)["ETag"].strip('"')
    first = put(A)
    upload_id = told_of(server, key, first, "0055" if ordered else None)["accepted"][0]
    assert server.finish(upload_id)["manifest"]["original"]["etag"] == first
    second = put(B)
    told_of(server, key, second, "00A1" if ordered else None)
    is_second = lambda: (u := server.finish(upload_id))["manifest"] and u["manifest"]["original"]["etag"] == second and u
    upload = wait_for("v2", is_second)
    quiet(server)
    ids = {call.webhook_id for call in receiver.of(upload_id, 200)}
    assert len(ids) == 2
    for _ in range(3):
        answer = told_of(server, key, first, "0055" if ordered else None)
        assert answer["accepted"] == [] and answer["ignored"][0]["reason"] == "a later version is known"
    quiet(server)
    assert server.status(upload_id) == upload and variants(upload["manifest"]) == said(upload["manifest"])
    assert {call.webhook_id for call in receiver.of(upload_id, 200)} == ids, "not under a third id"
    assert stale(server, "older") >= 3


def test_a_key_written_again_before_it_is_read_ends_with_the_newest(deployment_seaweed, receiver):
    """The event of v1 is taken after v2 is there: v1 cannot be read any more, and v2 is."""
    server, key = deployment_seaweed, "temp/own/again.jpg"
    first = server.at.s3.put_object(Bucket=server.at.bucket, Key=key, Body=A)["ETag"].strip('"')
    server.at.s3.put_object(Bucket=server.at.bucket, Key=key, Body=B)
    upload_id = told_of(server, key, first, "01")["accepted"][0]
    upload = server.finish(upload_id)
    assert upload["manifest"]["original"]["sha256"] == hashlib.sha256(B).hexdigest()
    assert len({call.webhook_id for call in receiver.of(upload_id)}) <= 1


def test_two_files_of_one_md5_are_two_files(deployment_seaweed, receiver):
    """The entity tag is an MD5, and so both have it: events and retries name the second, and the first stays."""
    server = deployment_seaweed
    first, second = ONE + A[2:], OTHER + A[2:]
    assert first != second and hashlib.md5(first).digest() == hashlib.md5(second).digest()
    created = server.create(filename="a.jpg")
    assert send(server, created, first) == 204
    before = server.finish(created["id"])
    assert before["manifest"]["original"]["sha256"] == hashlib.sha256(first).hexdigest()
    assert send(server, created, second) == 204, "a store takes any form"
    quiet(server)
    assert server.status(created["id"]) == before
    assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202, "the tag is the same"
    server.finish(created["id"])
    quiet(server)
    assert server.status(created["id"]) == before and variants(before["manifest"]) == said(before["manifest"])
    assert len({call.webhook_id for call in receiver.of(created["id"], 200)}) == 1, "one outcome"


def test_the_same_bytes_made_again_are_the_same_outcome(deployment_seaweed, receiver):
    """A client that did not see its answer sends its file again: the event of that comes later in the store's order."""
    server = deployment_seaweed
    created = server.create(filename="a.jpg")
    assert send(server, created, A) == 204
    key, etag = created["presign"]["fields"]["key"], hashlib.md5(A).hexdigest()
    assert told_of(server, key, etag, "01")["accepted"]
    before = server.finish(created["id"])
    assert send(server, created, A) == 204
    assert told_of(server, key, etag, "02")["accepted"]
    quiet(server)
    assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
    server.finish(created["id"])
    quiet(server)
    assert server.status(created["id"]) == before
    assert len({call.webhook_id for call in receiver.of(created["id"], 200)}) == 1, "one outcome"


@pytest.mark.parametrize("deployment", ["embedded", "seaweedfs"], indirect=True)
def test_an_event_of_what_was_never_there_keeps_no_original_out(deployment):
    """An event can name any entity tag. There was no such state, so the first file that comes is the upload."""
    created = deployment.create(filename="a.jpg")
    key = created["presign"]["fields"]["key"]
    assert told_of(deployment, key, "0" * 32, None)["accepted"] == [created["id"]]
    early = deployment.finish(created["id"])
    assert (early["status"], early["error"]["code"]) == ("failed", "not_found")
    assert send(deployment, created, A) == 204
    wait_for("the file is taken", lambda: deployment.status(created["id"])["status"] == "completed", 20)
    assert deployment.status(created["id"])["manifest"]["original"]["sha256"] == hashlib.sha256(A).hexdigest()
    assert send(deployment, created, B) in (204, 409)
    quiet(deployment)
    assert deployment.status(created["id"])["manifest"]["original"]["sha256"] == hashlib.sha256(A).hexdigest()


def test_an_upload_that_failed_is_no_other_file_of_its_md5(deployment_seaweed):
    """Before there is a manifest, too: what was read once is what counts."""
    server = deployment_seaweed

    def start(most_pixels: int):
        server.stop()
        server.env["TINTYPE_LIMITS__MAX_PIXELS"] = str(most_pixels)
        server.start()
    start(1000)
    created = server.create(filename="a.jpg")
    assert send(server, created, ONE + A[2:]) == 204
    assert server.finish(created["id"])["error"]["code"] == "too_many_pixels"
    assert boto3_style(created["presign"], OTHER + A[2:]).status == 204
    start(1_000_000)
    assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
    assert server.finish(created["id"])["error"]["code"] == "original_changed"


# --- what a status says and what the public can read ---

def test_what_failed_has_no_public_variants(serve, receiver):
    server = serve()
    s3, key = server.at.s3, "temp/own/face.jpg"
    s3.put_object(Bucket="tintype", Key=key, Body=A)
    upload_id = wait_for("its row", lambda: server.call("GET", "/v1/uploads?q=own/face").json()["uploads"])[0]["id"]
    manifest = server.finish(upload_id)["manifest"]
    s3.put_object(Bucket="tintype", Key=key, Body=b"no image at all")
    failed = wait_for("failed", lambda: (u := server.finish(upload_id))["status"] == "failed" and u)
    assert failed["manifest"] is None
    for variant in manifest["variants"]:
        assert requests.get(variant["url"], timeout=30).status_code in (403, 404), variant["name"]
    assert not s3.list_objects_v2(Bucket="tintype", Prefix="image/own/").get("Contents")
    verify = lambda *flags: tintype.run("verify", "--data", server.home / "data", "--json", *flags, env=server.env, cwd=server.home)
    assert verify("--deep").returncode == 0


def test_verify_finds_what_a_failed_upload_left_readable(serve):
    """As it is after an older version: the row is failed, and the set before it is all there."""
    server = serve()
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], A).status == 204
    assert server.finish(created["id"])["status"] == "completed"
    with sqlite3.connect(server.home / "data/tintype.db", timeout=30) as db:
        db.execute("UPDATE uploads SET status = 'failed', manifest = NULL, processed_key = NULL,"
                   " error = '{\"code\": \"corrupt\", \"message\": \"x\"}' WHERE id = ?", (created["id"],))
    verify = lambda *flags: tintype.run("verify", "--data", server.home / "data", "--json", *flags, env=server.env, cwd=server.home)
    found = verify()
    assert found.returncode == 1 and found.stdout.count('"variant_left"') == 9, found.stdout
    verify("--repair")
    assert verify().returncode == 0
    assert not server.at.s3.list_objects_v2(Bucket="tintype", Prefix=f"image/{created['id']}").get("Contents")


def test_what_comes_back_after_a_deletion_goes_again(serve):
    """A write that was under way as DELETE was answered."""
    server = serve(env={"TINTYPE_QUEUE__LEASE": "2s"})
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], A).status == 204
    assert server.finish(created["id"])["status"] == "completed"
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    late = [f"image/{created['id']}_50x50.jpg", f"image/{created['id']}_777x777.webp"]  # of a preset that is gone, too
    for key in late:
        server.at.s3.put_object(Bucket="tintype", Key=key, Body=SMALL)
    listed = lambda: server.at.s3.list_objects_v2(Bucket="tintype", Prefix=f"image/{created['id']}").get("Contents")
    wait_for("they are gone", lambda: not listed(), 60)
    assert server.call("GET", f"/v1/uploads/{created['id']}").status_code == 404


def test_a_deletion_beside_a_retry_leaves_nothing(serve):
    """The retry's job writes what the deletion removes, again and again, until it hears of it; and then removes it itself."""
    server = serve()
    with ThreadPoolExecutor(16) as pool:
        for n in range(24):
            created = server.create(filename="a.jpg")
            assert boto3_style(created["presign"], corpus.save(corpus.photo(900, 700, n), "JPEG")).status == 204
            assert server.finish(created["id"])["status"] == "completed"
            pool.submit(server.call, "POST", f"/v1/uploads/{created['id']}/retry")
            time.sleep(n % 8 * 0.015)
            assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    left = lambda: server.at.s3.list_objects_v2(Bucket="tintype", Prefix="image/").get("Contents", [])
    wait_for("nothing left", lambda: not left(), 5)


def test_what_is_put_anew_during_a_slow_sweep_survives(serve, seaweedfs, say):
    """The sweep lists fifty originals past their time, and is held up before it removes the first."""
    at, names = seaweedfs.bucket(f"sweep{random.randrange(10**9)}"), [f"temp/own-{n:02}.jpg" for n in range(50)]
    gate, held, listings = threading.Event(), threading.Event(), []

    def through(method: str, key: str):
        if method == "GET" and not key:
            listings.append(held.is_set())
        if method in ("HEAD", "DELETE") and key == names[0] and not gate.is_set():
            held.set()
            gate.wait(60)
        return 0
    proxy = Flaky(at.endpoint, through)
    env = at.env | {"TINTYPE_STORE__ENDPOINT": proxy.endpoint, "TINTYPE_UPLOAD__KEEP_ORIGINALS": "0s", "TINTYPE_QUEUE__RECONCILE": "1s"}
    try:
        server = serve(env=env)
        server.at = at
        etags = {}
        for name in names:
            etags[name] = at.s3.put_object(Bucket=at.bucket, Key=name, Body=SMALL)["ETag"].strip('"')
            told_of(server, name, etags[name], "01")
        last = time.monotonic()
        ended = lambda: {u["status"] for u in server.call("GET", "/v1/uploads?limit=100").json()["uploads"]} == {"completed"}
        wait_for("all completed", ended, 120)
        server.stop()
        time.sleep(max(0, 20 - (time.monotonic() - last)))
        server.env["TINTYPE_UPLOAD__KEEP_ORIGINALS"] = "20s"
        server.start()
        assert held.wait(60), "the sweep came to the first"
        for n, name in enumerate(names):
            etag = at.s3.put_object(Bucket=at.bucket, Key=name, Body=other(n, SMALL))["ETag"].strip('"')
            told_of(server, name, etag, "02")
        so_far = len(listings)
        gate.set()
        wait_for("the next listing", lambda: len(listings) > so_far, 60)
        there = {o["Key"] for o in at.s3.list_objects_v2(Bucket=at.bucket, Prefix="temp/").get("Contents", [])}
        say(f"{len(there & set(names))} of 50 keys put anew during a sweep survived it")
        assert there >= set(names)
        wait_for("all developed anew", ended, 120)
    finally:
        gate.set()
        proxy.stop()


# --- arrival and claim ---

def test_a_client_says_that_it_has_sent(serve, seaweedfs, receiver):
    """A store without events, and an event time of a day: nothing else would take the upload up."""
    at = seaweedfs.bucket(f"sent{random.randrange(10**9)}")
    server = serve(env=at.env | {"TINTYPE_QUEUE__EVENT_TIME": "1h"})
    created = server.create(filename="a.jpg")
    say_so = lambda: server.call("POST", f"/v1/uploads/{created['id']}/uploaded", headers={"Authorization": f"Bearer {created['token']}"})
    missing = say_so()
    assert (missing.status_code, missing.json()["code"]) == (409, "original_missing")
    assert boto3_style(created["presign"], A).status == 204
    taken = say_so()
    assert (taken.status_code, taken.json()["status"]) == (202, "processing"), taken.text
    done = server.finish(created["id"])
    assert done["status"] == "completed"
    assert (say_so().status_code, say_so().json()) == (200, done)
    quiet(server)
    assert attempts(server, created["id"]) == ["completed"] and len(receiver.of(created["id"])) == 1


def test_an_upload_that_nobody_claims_goes(serve, seaweedfs, receiver):
    at = seaweedfs.bucket(f"claim{random.randrange(10**9)}")
    server = serve(env=at.env | {"TINTYPE_UPLOAD__CLAIM_WITHIN": "3s"})
    server.at = at
    kept, left = (server.create(filename="a.jpg", metadata={"id": "7"}) for _ in range(2))
    for created in (kept, left):
        assert send(server, created, A) == 204
    assert server.finish(kept["id"])["status"] == "completed"
    claims = [server.call("POST", f"/v1/uploads/{kept['id']}/claim") for _ in range(2)]
    assert {answer.status_code for answer in claims} == {200} and claims[0].json() == claims[1].json()
    assert claims[0].json()["claimed_at"]
    wait_for("expired", lambda: server.status(left["id"])["status"] == "expired", 60)
    call = wait_for("its callback", lambda: [c for c in receiver.of(left["id"], 200) if c.body["status"] == "expired"])[0]
    body = call.verify()
    assert (body["id"], body["error"]["code"], body["metadata"]) == (left["id"], "expired", {"id": "7"})
    objects = lambda of: {o["Key"] for o in at.s3.list_objects_v2(Bucket=at.bucket).get("Contents", []) if of["id"] in o["Key"]}
    wait_for("all gone", lambda: not objects(left))
    late = server.call("POST", f"/v1/uploads/{left['id']}/claim")
    assert (late.status_code, late.json()["code"]) == (409, "upload_expired")
    # Its credential is good still: nothing comes of it.
    send(server, left, A)
    quiet(server)
    assert server.status(left["id"])["status"] == "expired" and not objects(left)
    assert server.status(kept["id"])["status"] == "completed" and len(objects(kept)) == 10
    assert {c.body["status"] for c in receiver.of(kept["id"])} == {"completed"}


def test_without_the_setting_nothing_has_to_be_claimed(serve):
    """Nor does what was asked for before it was set."""
    server = serve()
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], A).status == 204
    assert server.finish(created["id"])["status"] == "completed"
    server.stop()
    server.env["TINTYPE_UPLOAD__CLAIM_WITHIN"] = "1s"
    server.start()
    time.sleep(3)
    assert server.status(created["id"])["status"] == "completed"
