"""A set is its manifest's or nothing: unsealed before it changes, looked at again, sealed last, believed by hash."""
import json
import threading
import time
from itertools import count

import pytest

import corpus
from support import sets
from support.flaky import Flaky
from support.function import record
from support.process import wait_for

SOON = {"TINTYPE_QUEUE__LEASE": "3s", "TINTYPE_QUEUE__EVENT_TIME": "1s", "TINTYPE_QUEUE__RECONCILE": "1h"}
KEY = "temp/shop/a.bmp"
SHOPS = count(1)


def picture(seed: int) -> bytes:
    return corpus.save(corpus.photo(400, 300, seed), "BMP")


class Shop:
    """A key of its owner's own on a real S3 behind a proxy that can be told to fail."""

    def __init__(self, at, serve, receiver, name: str, **env):
        self.at, self.receiver, self.order = at, receiver, 0
        self.refuse = lambda method, key: None
        self.proxy = Flaky(at.endpoint, lambda method, key: self.refuse(method, key))
        self.server = serve(name, env={**at.env, "TINTYPE_STORE__ENDPOINT": self.proxy.endpoint, **SOON, **env})

    def put(self, data: bytes) -> dict:
        self.order += 1
        etag = self.at.s3.put_object(Bucket=self.at.bucket, Key=KEY, Body=data, ContentType="image/bmp")["ETag"]
        return {"Records": [record(self.at.bucket, KEY, eTag=etag.strip('"'), sequencer=f"{self.order:016X}")]}

    def announce(self, notice: dict) -> int:
        """Tells of it; gives how many callbacks there were before."""
        before = len(self.told())
        assert self.server.call("POST", "/v1/events", json=notice).status_code == 200
        return before

    def told(self) -> list[dict]:
        """What was told of sets: the URLs of variants name the bucket."""
        return [r.body for r in self.receiver.received if r.body.get("original", {}).get("key") == KEY and self.at.bucket in str(r.body)]

    def send(self, data: bytes) -> dict:
        """The outcome that is told of it."""
        before = self.announce(self.put(data))
        return wait_for("a callback", lambda: self.told()[before:], 60)[-1]

    def manifest(self) -> dict | None:
        return sets.manifest(self.at, "image/shop/a.bmp")

    def is_of(self, data: bytes) -> bool:
        manifest = self.manifest()
        return bool(manifest) and manifest["original"]["sha256"] == sets.sha256(data) and sets.foreign(self.at, manifest) == []

    def written(self) -> list[str]:
        return [key for method, key in self.proxy.heard if method == "PUT" and key.startswith("image/shop/a")]


@pytest.fixture
def shop(serve, seaweedfs, receiver):
    made = []

    def open_(**env) -> Shop:
        name = f"sealed-{next(SHOPS):03}"
        at = seaweedfs.bucket(name)
        made.append(Shop(at, serve, receiver, name, **env))
        return made[-1]

    yield open_
    for one in made:
        one.proxy.stop()


def told_of(shop: Shop, sha256: str) -> bool:
    return any(body.get("original", {}).get("sha256") == sha256 for body in shop.told())


@pytest.mark.parametrize("end", ["killed", "refused"])
def test_a_set_that_another_began_to_overwrite_is_made_again(shop, end):
    """A completes; B is cut off before its manifest; A comes again. `completed` is never said of the bytes of B."""
    here = shop(TINTYPE_QUEUE__ATTEMPTS="1")
    a, b = picture(1), picture(2)
    assert here.send(a)["status"] == "completed" and here.is_of(a)
    reached = threading.Event()

    def refuse(method, key):
        if method == "PUT" and key == "image/shop/a.bmp.manifest.json":
            reached.set()
            return "hang" if end == "killed" else 403
    here.refuse = refuse
    before = here.announce(here.put(b))
    assert reached.wait(30)
    if end == "killed":
        here.server.daemon.kill()
    else:
        wait_for("the end of B", lambda: here.server.call("GET", "/v1/uploads?status=failed").json()["uploads"], 60)
    manifest = here.manifest()
    assert manifest is None or sets.foreign(here.at, manifest) == [], "a sealed set that is not what its manifest says"
    here.refuse = lambda method, key: None
    again = here.put(a)
    if end == "killed":
        here.proxy.release()
        here.server.start()
    before = here.announce(again)
    outcome = wait_for("A again", lambda: [body for body in here.told()[before:] if body["status"] == "completed"], 60)[-1]
    assert outcome["original"]["sha256"] == sets.sha256(a)
    assert here.is_of(a), sets.foreign(here.at, here.manifest())


def test_equal_sizes_are_not_equal_bytes(shop):
    """Whoever wrote over a variant: the next event of the same original sees it."""
    here, a = shop(), picture(3)
    assert here.send(a)["status"] == "completed"
    variant = here.manifest()["variants"][1]
    here.at.s3.put_object(Bucket=here.at.bucket, Key=variant["key"], Body=bytes(variant["bytes"]))
    assert here.send(a)["status"] == "completed"
    assert here.is_of(a)


def test_a_manifest_of_before_is_believed_by_its_hashes(shop):
    """One without entity tags: nothing is written anew where all is as it says, and all where it is not."""
    here, a = shop(), picture(4)
    here.send(a)
    manifest = here.manifest()
    for variant in manifest["variants"]:
        variant.pop("etag", None)
    put = lambda: here.at.s3.put_object(Bucket=here.at.bucket, Key="image/shop/a.bmp.manifest.json", Body=json.dumps(manifest))
    put()
    written = len(here.written())
    assert here.send(a)["status"] == "completed" and len(here.written()) == written
    put()
    changed = manifest["variants"][2]
    here.at.s3.put_object(Bucket=here.at.bucket, Key=changed["key"], Body=bytes(changed["bytes"]))
    assert here.send(a)["status"] == "completed" and here.is_of(a)


def test_writes_of_a_killed_process_that_come_late_are_seen_before_the_set_is_sealed(shop):
    """A's worker is killed with its writes on the wire; they reach the store when B's are all there, and not its manifest."""
    here = shop()
    a, b = picture(5), picture(6)
    late, caught, lock = threading.Event(), [], threading.Lock()

    def hold(method, key):
        if method == "PUT" and key.startswith("image/shop/a") and not late.is_set():
            with lock:
                caught.append(key)
            return late
    here.refuse = hold
    here.announce(here.put(a))
    wait_for("writes on the wire", lambda: len(caught) >= 8, 30)
    here.server.daemon.kill()
    second = here.put(b)
    names = set(caught)

    def release(method, key):
        """When B is about to look, or to seal: first A's go through."""
        mine = {key for key in here.written()}
        ready = names <= mine
        if not late.is_set() and ready and key.startswith("image/shop/a") and (method in ("HEAD", "GET") or key.endswith(".manifest.json")):
            count = len(here.written())
            late.set()
            wait_for("A's writes to come through", lambda: len(here.written()) >= count + len(names), 30)
    here.refuse = release
    here.server.start()
    before = here.announce(second)
    wait_for("B", lambda: told_of(here, sets.sha256(b)), 60)
    assert late.is_set(), "the late writes never came: the test shows nothing"
    assert here.is_of(b), sets.foreign(here.at, here.manifest())


def test_a_job_ends_when_all_it_started_has_ended(shop):
    """One of eight writes fails at once, the others take their time: nothing is written once the end is told."""
    here = shop(TINTYPE_QUEUE__ATTEMPTS="1")
    begun = []

    def refuse(method, key):
        if method == "PUT" and key.startswith("image/shop/a"):
            begun.append(key)
            return 403 if key == "image/shop/a.bmp" else 0.9
    here.refuse = refuse
    here.announce(here.put(picture(7)))
    wait_for("its end", lambda: here.server.call("GET", "/v1/uploads?status=failed").json()["uploads"], 60)
    time.sleep(1.5)
    left = here.at.s3.list_objects_v2(Bucket=here.at.bucket, Prefix="image/").get("Contents", [])
    assert len(begun) > 1 and [o["Key"] for o in left] == []


def test_a_write_takes_no_longer_than_the_lease_allows(shop):
    here, held, tries = shop(), threading.Event(), []

    def refuse(method, key):
        if method == "PUT" and key == "image/shop/a.bmp":
            tries.append(time.monotonic())
            return held if len(tries) == 1 else None
    here.refuse = refuse
    outcome = here.send(picture(8))
    assert outcome["status"] == "completed" and len(tries) >= 2
    assert "in the time there is for a write" in here.server.log()
    held.set()
