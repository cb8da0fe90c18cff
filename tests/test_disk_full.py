"""Ledger and embedded store on one small disk that fills up: uploads are refused, nothing is torn, and once there is
room again all goes on without a restart."""
import sqlite3
import threading
import time

import pytest
import requests

import corpus
from support import tintype
from support.process import wait_for
from support.small_disk import SmallDisk
from support.upload import DRIVERS, boto3_style

MIB = 1 << 20
PHOTO = corpus.save(corpus.photo(2400, 1800, 30), "JPEG", quality=90)
NOISE = corpus.save(corpus.photo(700, 500, 8), "PNG")


@pytest.fixture
def small(tmp_path, receiver):
    """`small(env)` starts a server on a disk of 24 MiB: both."""
    opened = []

    def start(inodes: int | None = None, **env) -> tuple[tintype.Server, SmallDisk]:
        try:
            disk = SmallDisk(tmp_path / "t/data", 24, inodes)
        except PermissionError as error:
            print(f"no small disk can be mounted here: {error}")
            pytest.skip(f"no small disk can be mounted here: {error}")
        server = tintype.Server(tmp_path / "t", receiver, env=env, start=False)
        opened.append((server, disk))
        return server.start(), disk

    yield start
    for server, disk in opened:
        server.stop()
        disk.unmount()


def is_sound(server) -> None:
    """The ledger is whole, and every object is what its record says."""
    with sqlite3.connect(f"file:{server.home / 'data/tintype.db'}?mode=ro", uri=True) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for page in server.at.s3.get_paginator("list_objects_v2").paginate(Bucket="tintype"):
        for listed in page.get("Contents", []):
            got = server.at.s3.get_object(Bucket="tintype", Key=listed["Key"])["Body"].read()
            assert len(got) == listed["Size"], listed["Key"]


def is_whole(upload: dict) -> None:
    for variant in upload["manifest"]["variants"]:
        assert len(requests.get(variant["url"], timeout=30).content) == variant["bytes"], variant["name"]


def test_a_claim_is_recorded_or_refused(small, receiver):
    """SQLite commits behind the row that a statement gives back: a claim was answered with 200, and was not there."""
    server, disk = small(TINTYPE_UPLOAD__CLAIM_WITHIN="6s", TINTYPE_LIMITS__MIN_FREE_DISK="4MiB")
    ids = []
    for _ in range(8):
        created = server.create(filename="a.jpg")
        assert boto3_style(created["presign"], PHOTO).status == 204
        ids.append(created["id"])
    for upload_id in ids:
        assert server.finish(upload_id)["status"] == "completed"
        receiver.wait(upload_id)
    disk.fill(0)
    # What the log has room for still goes in.
    claims = {id: server.call("POST", f"/v1/uploads/{id}/claim") for id in ids}
    for upload_id, claim in claims.items():
        claimed_at = server.status(upload_id)["claimed_at"]
        if claim.status_code == 200:
            assert claimed_at == claim.json()["claimed_at"]
        else:
            assert (claim.status_code, claim.json()["code"], claimed_at) == (503, "storage_full", None)
    assert any(claim.status_code == 503 for claim in claims.values()), "the disk was full"
    disk.empty()


def test_uploads_are_refused_while_there_is_still_some_room(small):
    server, disk = small(TINTYPE_LIMITS__MIN_FREE_DISK="6MiB")
    created = [server.create(filename="a.jpg", method=method) for method in ("POST", "PUT", "POST")]
    assert boto3_style(created[2]["presign"], PHOTO).status == 204
    disk.fill(5 * MIB)
    for path in ("/v1/uploads", "/async_image_upload/presignedurl/"):
        refused = server.call("POST", path, json={})
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
        assert int(refused.headers["Retry-After"]) >= 10
    form = boto3_style(created[0]["presign"], PHOTO)
    assert (form.status, form.code) == (507, "InsufficientStorage") and form.headers["retry-after"] == "30"
    put = requests.put(created[1]["presign"]["url"], data=PHOTO, headers=created[1]["presign"]["headers"], timeout=30)
    assert put.status_code == 507 and "InsufficientStorage" in put.text and put.headers["retry-after"] == "30"
    ready = server.call("GET", "/readyz")
    assert (ready.status_code, ready.json()["disk"]) == (503, "failing")
    assert server.call("GET", "/healthz").ok
    # What is in is developed in the room that is left, and can be looked at.
    assert server.finish(created[2]["id"])["status"] == "completed"
    is_whole(server.status(created[2]["id"]))
    is_sound(server)
    disk.empty()
    assert server.call("GET", "/readyz").ok
    for upload, send in ((created[0], DRIVERS["boto3-form"]), (server.create(filename="b.jpg"), DRIVERS["plain-multipart"])):
        assert send(upload["presign"], PHOTO).status == 204
        assert server.finish(upload["id"])["status"] == "completed"
    assert requests.put(created[1]["presign"]["url"], data=PHOTO, headers=created[1]["presign"]["headers"], timeout=30).ok
    assert server.finish(created[1]["id"])["status"] == "completed"


def test_full_disk_loses_and_tears_nothing(small, receiver, say):
    """With no reserve, clients upload until it is full to the last byte: what was acknowledged is there, whole, and
    is developed once there is room, however long that takes; what was not, is not there."""
    server, disk = small(TINTYPE_LIMITS__MIN_FREE_DISK="0", TINTYPE_QUEUE__ATTEMPTS="2")
    created = server.call("POST", "/v1/uploads", json=[{"filename": "a.png"}] * 60).json()
    disk.fill(4 * MIB)
    answers: dict[str, list] = {upload["id"]: [] for upload in created}

    def send(uploads: list[dict]) -> None:
        for upload in uploads:
            answers[upload["id"]].append(boto3_style(upload["presign"], NOISE))

    clients = [threading.Thread(target=send, args=(created[n::4],)) for n in range(4)]
    [client.start() for client in clients]
    [client.join() for client in clients]
    taken = [upload for upload in created if answers[upload["id"]][0].status == 204]
    refused = [upload for upload in created if upload not in taken]
    assert refused and {answers[u["id"]][0].code for u in refused} <= {"InsufficientStorage", "SlowDown", "ServiceUnavailable"}
    for upload in taken:
        key = upload["presign"]["fields"]["key"]
        assert server.at.s3.get_object(Bucket="tintype", Key=key)["Body"].read() == NOISE
    is_sound(server)
    time.sleep(6)  # long enough for two attempts, were they counted
    states = {server.status(upload["id"])["status"] for upload in taken}
    assert states <= {"processing", "completed"} and "processing" in states, states
    for upload in taken:
        if (now := server.status(upload["id"]))["status"] == "completed":
            is_whole(now)
    pid = server.daemon.pid
    disk.empty()
    ends = [server.finish(upload["id"], 90) for upload in taken]
    assert {end["status"] for end in ends} == {"completed"}
    [is_whole(end) for end in ends]
    wait_for("no jobs", lambda: server.call("GET", "/readyz").json()["jobs"] == 0, 30)
    for upload in refused[:5]:
        assert boto3_style(upload["presign"], NOISE).status == 204
        assert server.finish(upload["id"])["status"] == "completed"
    for upload in taken + refused[:5]:
        assert receiver.wait(upload["id"]).verify()["status"] == "completed"
    is_sound(server)
    assert server.daemon.pid == pid and server.daemon.child.poll() is None
    say(f"{len(taken)} of 60 uploads taken before the disk was full, all {len(taken)} completed once it was not")


@pytest.mark.parametrize("left", [100_000, 0])
def test_start_on_a_full_disk(small, left):
    """A server that died while the disk was full begins again: it says what is wrong, refuses, and loses nothing."""
    server, disk = small(TINTYPE_LIMITS__MIN_FREE_DISK="1MiB")
    created = [server.create(filename="a.png") for _ in range(2)]
    disk.fill(1 * MIB + len(NOISE) + 300_000)
    assert boto3_style(created[0]["presign"], NOISE).status == 204
    server.daemon.kill()
    disk.fill(left)
    server.ready = "/healthz"
    server.start()
    wait_for("its word on the disk", lambda: "the disk is nearly full" in server.daemon.log.read_text(), 10)
    assert server.call("POST", "/v1/uploads", json={}).json()["code"] == "storage_full"
    assert boto3_style(created[1]["presign"], NOISE).code == "InsufficientStorage"
    # Where it was quick, it had ended before the kill.
    assert server.status(created[0]["id"])["status"] in ("pending", "processing", "completed")
    disk.empty()
    assert server.finish(created[0]["id"])["status"] == "completed"
    assert boto3_style(created[1]["presign"], NOISE).status == 204
    assert server.finish(created[1]["id"])["status"] == "completed"
    is_sound(server)


def test_no_inodes_left_counts_as_a_full_disk(small):
    server, disk = small(inodes=3000, TINTYPE_LIMITS__MIN_FREE_DISK="1MiB")
    assert server.call("GET", "/readyz").status_code == 200
    files = disk.at / "files"
    files.mkdir()
    for number in range(2900):
        try:
            (files / str(number)).touch()
        except OSError:
            break
    ready = server.call("GET", "/readyz")
    assert (ready.status_code, ready.json()["disk"]) == (503, "failing") and "inodes" in ready.json()["detail"]
    refused = server.call("POST", "/v1/uploads", json={"filename": "a.jpg"})
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_full")
    assert "inodes" in server.log()
    for file in files.iterdir():
        file.unlink()
    wait_for("ready again", lambda: server.call("GET", "/readyz").status_code == 200)
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], NOISE, "a.png").status == 204
    assert server.finish(created["id"])["status"] == "completed"
