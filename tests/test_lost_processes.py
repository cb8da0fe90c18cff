"""A process that is stopped, or killed with writes on their way, while others go on: what it writes late stays nowhere."""
import signal
import sqlite3
import threading
import time
from itertools import count

import pytest

import corpus
from support import sets
from support.flaky import Flaky
from support.function import record
from support.process import wait_for
from support.upload import boto3_style

SOON = {"TINTYPE_QUEUE__LEASE": "3s", "TINTYPE_QUEUE__EVENT_TIME": "1s", "TINTYPE_QUEUE__RECONCILE": "1h"}
KEY, SET = "temp/shop/a.bmp", "image/shop/a"
PHOTO = corpus.good()["baseline.jpg"]
BUCKETS = count(1)
# The time until the next look is over.
LATER = "UPDATE rechecks SET due_at = 0"


def picture(seed: int) -> bytes:
    return corpus.save(corpus.photo(400, 300, seed), "BMP")


class Shop:
    """A key of its owner's own, for two processes on one Postgres, and a store whose writes can be held up on the way."""

    def __init__(self, at, serve, receiver, postgres):
        self.at, self.serve, self.receiver, self.postgres, self.order = at, serve, receiver, postgres, 0
        self.ledger, self.hold = postgres.database(), lambda method, key: None
        self.proxy = Flaky(at.endpoint, lambda method, key: self.hold(method, key))
        self.env = {**at.env, "TINTYPE_STORE__ENDPOINT": self.proxy.endpoint, "TINTYPE_LEDGER__URL": self.ledger, **SOON}

    def start(self, name: str):
        return self.serve(f"{self.at.bucket}-{name}", env=self.env)

    def later(self) -> None:
        self.postgres.sql(LATER, self.ledger)

    def announce(self, server, data: bytes) -> None:
        self.order += 1
        etag = self.at.s3.put_object(Bucket=self.at.bucket, Key=KEY, Body=data, ContentType="image/bmp")["ETag"].strip('"')
        event = record(self.at.bucket, KEY, eTag=etag, sequencer=f"{self.order:016X}")
        assert server.call("POST", "/v1/events", json={"Records": [event]}).status_code == 200

    def told(self, data: bytes) -> bool:
        of = lambda body: body.get("original", {}).get("sha256") == sets.sha256(data) and self.at.bucket in str(body)
        return any(of(call.body) for call in self.receiver.received)

    def foreign(self) -> list[str] | None:
        """The variants that are not the manifest's; none where there is no manifest."""
        manifest = sets.manifest(self.at, f"{SET}.bmp")
        return manifest and sets.foreign(self.at, manifest)

    def shows(self, data: bytes) -> bool:
        manifest = sets.manifest(self.at, f"{SET}.bmp")
        return bool(manifest) and manifest["original"]["sha256"] == sets.sha256(data) and self.foreign() == []


@pytest.fixture
def shop(serve, seaweedfs, receiver, postgres):
    made = Shop(seaweedfs.bucket(f"lost-{next(BUCKETS):03}"), serve, receiver, postgres)
    yield made
    made.proxy.stop()


@pytest.mark.parametrize("end", ["goes on", "is killed"])
def test_what_a_stopped_process_writes_late_is_not_left_under_anothers_seal(shop, end, say):
    """A is being saved, all its writes on the wire, when its process is stopped; another has the job and seals B; then A's writes
    reach the store. Its process goes on, and sees to it; or is killed, and others do."""
    a, b = picture(1), picture(2)
    late, caught, lock = threading.Event(), set(), threading.Lock()

    def hold(method, key):
        if method == "PUT" and key.startswith(SET):
            with lock:
                caught.add(key)
            return late
    shop.hold = hold
    stopped = shop.start("stopped")
    shop.announce(stopped, a)
    wait_for("writes on the wire", lambda: len(caught) >= 8, 30)
    stopped.daemon.child.send_signal(signal.SIGSTOP)
    try:
        shop.hold = lambda method, key: None
        other = shop.start("other")
        shop.announce(other, b)
        wait_for("B", lambda: shop.told(b), 60)
        assert shop.shows(b), shop.foreign()
        before = len(shop.proxy.heard)
        if end == "is killed":
            stopped.daemon.kill()
        late.set()
        wait_for("A's writes to come through", lambda: sum(m == "PUT" for m, _ in shop.proxy.heard[before:]) >= len(caught), 30)
        assert shop.foreign(), "the late writes did no harm: the test shows nothing"
    finally:
        late.set()
        stopped.daemon.child.send_signal(signal.SIGCONT)
    if end == "is killed":
        shop.later()
    wait_for("B again", lambda: shop.shows(b), 60)
    assert "they are made again" in (other if end == "is killed" else stopped).log()


def test_a_process_that_was_stopped_begins_no_write(shop):
    """It is stopped just before its first variant; when it goes on, all is another's, and nothing is taken away or written."""
    a, b = picture(3), picture(4)
    held, reached = threading.Event(), threading.Event()

    def hold(method, key):
        """The look at the manifest that may be there is the last thing before the set is written."""
        if method == "GET" and key == f"{SET}.bmp.manifest.json" and "read" in seen:
            reached.set()
            return held
        if method == "GET" and key == f"{SET}.bmp.manifest.json":
            seen.add("read")
    seen = set()
    shop.hold = hold
    stopped = shop.start("stopped")
    shop.announce(stopped, a)
    assert reached.wait(60)
    stopped.daemon.child.send_signal(signal.SIGSTOP)
    try:
        shop.hold = lambda method, key: None
        other = shop.start("other")
        shop.announce(other, b)
        wait_for("B", lambda: shop.told(b), 60)
        changed = lambda: [(method, key) for method, key in shop.proxy.heard if method in ("PUT", "DELETE") and key.startswith(SET)]
        before = changed()
        # It cannot be told in time that another has the job: it has to ask.
        shop.postgres.pause()
    finally:
        held.set()
        stopped.daemon.child.send_signal(signal.SIGCONT)
    try:
        time.sleep(2)
        assert changed() == before
    finally:
        shop.postgres.resume()
    wait_for("it sees that", lambda: "a job was taken away" in stopped.log(), 60)
    assert changed() == before and shop.shows(b)


@pytest.mark.parametrize("meanwhile", ["runs", "is killed"])
def test_what_is_written_long_after_a_deletion_goes_again(serve, meanwhile):
    """The upload, and even its row, are gone; a worker that was stopped for long goes on and writes."""
    server = serve(env={"TINTYPE_QUEUE__LEASE": "1s"})
    created = server.create(filename="a.jpg")
    kept = server.create(filename="a.jpg")
    for each in (created, kept):
        assert boto3_style(each["presign"], PHOTO).status == 204
        assert server.finish(each["id"])["status"] == "completed"
    assert server.call("DELETE", f"/v1/uploads/{created['id']}").status_code == 204
    database = server.home / "data/tintype.db"

    def sql(statement: str, *values):
        with sqlite3.connect(database, timeout=30) as db:
            return db.execute(statement, values).fetchall()
    wait_for("its row is gone", lambda: not sql("SELECT 1 FROM uploads WHERE id = ?", created["id"]), 60)
    listed = lambda of: server.at.s3.list_objects_v2(Bucket="tintype", Prefix=f"image/{of['id']}").get("Contents", [])
    before = len(listed(kept))
    for again in range(2):
        for name in ("_50x50.jpg", ".jpg", "_777x777.webp"):  # one of a preset that is gone, too
            server.at.s3.put_object(Bucket="tintype", Key=f"image/{created['id']}{name}", Body=PHOTO)
        assert len(listed(created)) == 3
        if meanwhile == "is killed":
            server.daemon.kill()
            server.start()
        sql(LATER)
        wait_for("they are gone", lambda: not listed(created), 60)
    assert len(listed(kept)) == before and server.status(kept["id"])["status"] == "completed"


def test_only_names_of_uploads_that_are_gone_are_cleared(serve):
    """What others made in the folder of variants stays, with and without a row: of a backfill, of a function, of a deleted key of
    its owner's own that is put there again."""
    server = serve(env={"TINTYPE_QUEUE__LEASE": "1s"})
    put = lambda key: server.at.s3.put_object(Bucket="tintype", Key=key, Body=PHOTO)
    put("temp/own/face.jpg")
    row = lambda: server.call("GET", "/v1/uploads?q=own/face").json()["uploads"]
    upload_id = wait_for("its row", row)[0]["id"]
    assert server.finish(upload_id)["status"] == "completed"
    assert server.call("DELETE", f"/v1/uploads/{upload_id}").status_code == 204
    others = ["image/own/face.jpg", "image/own/face_50x50.jpg", "image/0123456789abcdef0123456789abcdef.jpg",
              "image/0123456789abcdef0123456789abcdef_50x50.jpg", "image/banner.png"]
    for key in others:
        put(key)
    for _ in range(2):
        with sqlite3.connect(server.home / "data/tintype.db", timeout=30) as db:
            db.execute(LATER)
            due = lambda: db.execute("SELECT 1 FROM rechecks WHERE due_at = 0").fetchall()
            db.commit()
            wait_for("all were looked at", lambda: not due(), 60)
    there = {o["Key"] for o in server.at.s3.list_objects_v2(Bucket="tintype", Prefix="image/").get("Contents", [])}
    assert set(others) <= there, there
