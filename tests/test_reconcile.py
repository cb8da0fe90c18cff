"""Step 5 may fail: what the store's events do not tell, the reconciler finds; what they tell twice does no harm."""
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import corpus
from support.flaky import Flaky
from support.process import wait_for
from support.tintype import notification
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]
SOON = {"TINTYPE_QUEUE__EVENT_TIME": "1s", "TINTYPE_QUEUE__RECONCILE": "1s"}


@pytest.fixture
def bucket(seaweedfs):
    """A new bucket of a store that tells nothing by itself."""
    return seaweedfs.bucket(f"reconcile{random.randrange(10**9)}")


@pytest.fixture
def server(serve, bucket):
    def start(**env):
        server = serve(env=bucket.env | SOON | env)
        server.at = bucket
        return server
    return start


def keys(bucket, prefix: str = "") -> set[str]:
    return {each["Key"] for each in bucket.s3.list_objects_v2(Bucket=bucket.bucket, Prefix=prefix).get("Contents", [])}


def uploaded(server, **wish) -> dict:
    created = server.create(filename="a.jpg", **wish)
    assert boto3_style(created["presign"], PHOTO).status == 204
    return created


def test_upload_whose_event_is_lost_is_found(server, receiver, say):
    server = server()
    began, ids = time.monotonic(), [uploaded(server, metadata={"n": str(n)})["id"] for n in range(10)]
    for n, upload_id in enumerate(ids):
        assert server.finish(upload_id)["manifest"]["metadata"] == {"n": str(n)}
        assert receiver.wait(upload_id).verify()["status"] == "completed"
    say(f"10 uploads without an event: done after {time.monotonic() - began:.1f} s, event_time and reconcile 1 s")


def test_event_is_waited_for_before_it_counts_as_lost(server):
    server = server(TINTYPE_QUEUE__EVENT_TIME="6s")
    time.sleep(1.5)  # the first listing, which takes all there is
    created, sent = uploaded(server), time.monotonic()
    while time.monotonic() - sent < 4:
        assert server.status(created["id"])["status"] == "pending"
        time.sleep(0.2)
    assert server.finish(created["id"])["status"] == "completed"


def test_upload_that_never_came_expires_and_is_taken_when_it_comes_all_the_same(server, bucket, receiver):
    server = server(TINTYPE_UPLOAD__EXPIRES="1s")
    created = server.create(filename="a.jpg")
    key = created["presign"]["fields"]["key"]
    wait_for("expired", lambda: server.status(created["id"])["status"] == "expired")
    bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=PHOTO)  # a store whose clock is late
    wait_for("completed", lambda: server.status(created["id"])["status"] == "completed")
    assert receiver.wait(created["id"]).verify()["id"] == created["id"]


def test_object_that_nobody_asked_for_is_developed_and_recorded(server, bucket, receiver):
    """Found by a listing, told by an event, and told by an event before it is there."""
    server = server()
    bucket.s3.put_object(Bucket=bucket.bucket, Key="temp/found.jpg", Body=PHOTO)
    bucket.s3.put_object(Bucket=bucket.bucket, Key="elsewhere/told.jpg", Body=PHOTO)
    server.announce(bucket.bucket, "elsewhere/told.jpg", "temp/not-there.jpg")

    def rows():
        uploads = server.call("GET", "/v1/uploads").json()["uploads"]
        return uploads if len(uploads) == 3 and all(u["status"] in ("completed", "failed") for u in uploads) else None
    ends = {(u["manifest"] or {"original": {"key": u["error"] and u["error"]["code"]}})["original"]["key"]: u for u in wait_for("three rows", rows)}
    assert set(ends) == {"temp/found.jpg", "elsewhere/told.jpg", "not_found"}
    for upload in ends.values():
        assert receiver.wait(upload["id"]).verify()["status"] == upload["status"]


def test_storm_of_doubled_and_reordered_events_does_no_harm(server, bucket, receiver, say):
    """A thousand events for five uploads, one deleted upload and one object that never was, in any order, 16 at a time."""
    server, dice = server(), random.Random(7)
    created = [uploaded(server) for _ in range(5)]
    gone = uploaded(server)
    assert server.call("DELETE", f"/v1/uploads/{gone['id']}").status_code == 204
    names = [each["presign"]["fields"]["key"] for each in [*created, gone]] + ["temp/never.jpg"]
    storm = [dice.choice(names) for _ in range(1000 - len(names))] + names
    dice.shuffle(storm)

    def tell(key: str) -> int:
        event = notification(bucket.bucket, key)
        event["Records"][0]["s3"]["object"]["sequencer"] = f"{dice.randrange(2**60):016X}"
        return requests.post(server.url + "/v1/events", json=event, timeout=60).status_code
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(tell, storm)) == {200}
    wait_for("the storm to pass", lambda: server.call("GET", "/readyz").json()["jobs"] == 0, 120)
    manifests = [server.finish(each["id"])["manifest"] for each in created]
    assert all(len(manifest["variants"]) == 8 for manifest in manifests)
    wait_for("callbacks", lambda: not server.call("GET", "/v1/deliveries?status=pending").json()["deliveries"], 60)
    told = {each["id"]: receiver.of(each["id"], 200) for each in created}
    assert all(calls and len({call.webhook_id for call in calls}) == 1 for calls in told.values())
    assert server.call("GET", f"/v1/uploads/{gone['id']}").status_code == 404
    assert not [key for key in keys(bucket) if gone["id"] in key] and not receiver.of(gone["id"])
    say(f"1000 events for 7 keys: {sum(map(len, told.values()))} callbacks for 5 outcomes, each under one id")


def test_late_event_of_a_deleted_upload_brings_nothing_back(server, bucket, receiver):
    server = server(TINTYPE_UPLOAD__EXPIRES="2s")
    created = uploaded(server)
    key = created["presign"]["fields"]["key"]
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    time.sleep(2.5)  # its credential has run out, so nothing more can come of it; the event is late
    server.announce(bucket.bucket, key)
    bucket.s3.put_object(Bucket=bucket.bucket, Key=key, Body=PHOTO)  # what was on its way as it was deleted
    wait_for("removed", lambda: not keys(bucket, "temp/"), 20)
    time.sleep(1)
    assert not keys(bucket) and not receiver.of(created["id"])
    assert server.call("GET", f"/v1/uploads/{created['id']}").status_code == 404


def test_originals_are_collected_after_their_time_and_variants_stay(server, bucket):
    server = server(TINTYPE_UPLOAD__KEEP_ORIGINALS="3s")
    good, bad = uploaded(server), server.create(filename="b.jpg")
    assert boto3_style(bad["presign"], b"no image").status == 204
    assert (server.finish(good["id"])["status"], server.finish(bad["id"])["status"]) == ("completed", "failed")
    wait_for("originals gone", lambda: not keys(bucket, "temp/"), 30)
    assert len(keys(bucket, "image/")) == 9 and server.status(good["id"])["status"] == "completed"


def test_half_written_variants_of_what_failed_are_collected(serve, bucket):
    """The store takes some variants and refuses others until the job is given up; what was written goes."""
    broken = [True]
    proxy = Flaky(bucket.endpoint, lambda method, key: 403 if broken[0] and method in ("PUT", "DELETE") and "400x400" in key else 0)
    env = bucket.env | SOON | {"TINTYPE_STORE__ENDPOINT": proxy.endpoint, "TINTYPE_QUEUE__ATTEMPTS": "2", "TINTYPE_UPLOAD__KEEP_ORIGINALS": "4s"}
    try:
        server = serve(env=env)
        created = uploaded(server)
        server.announce(bucket.bucket, created["presign"]["fields"]["key"])
        upload = server.finish(created["id"])
        assert (upload["status"], upload["error"]["code"]) == ("failed", "store_unavailable")
        broken[0] = False
        wait_for("all collected", lambda: not keys(bucket), 30)
    finally:
        proxy.stop()
