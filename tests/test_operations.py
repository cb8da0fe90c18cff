"""Operations: one upload through the log, draining, moving a ledger, deletions that are cut off."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import corpus
from support import tintype
from support.flaky import Flaky
from support.process import wait_for
from support.upload import boto3_style, by_hand

IMAGE = corpus.good()["420.jpg"]
SLOW = corpus.save(corpus.photo(4000, 3000, 30), "PNG")
MEDIUM = corpus.save(corpus.photo(1600, 1200, 30), "PNG")
LARGE = {"TINTYPE_UPLOAD__MAX_BYTES": "64MiB"}


def put(server, data: bytes = IMAGE, filename: str = "a.jpg") -> str:
    created = server.create(filename=filename, metadata={"id": "7"})
    assert boto3_style(created["presign"], data, filename).status == 204
    return created["id"]


def keys(at) -> set[str]:
    pages = at.s3.get_paginator("list_objects_v2").paginate(Bucket=at.bucket)
    return {o["Key"] for page in pages for o in page.get("Contents", [])}


# --- the log ---

def test_every_line_of_an_upload_carries_its_id(serve, receiver):
    server = serve(env={"TINTYPE_LOG__FORMAT": "json", "TINTYPE_LOG__LEVEL": "info",
                        "TINTYPE_CALLBACK__SCHEDULE": "200ms,200ms"})
    created = server.create(filename="a.jpg")
    receiver.answer(created["id"], 500)
    assert by_hand(created["presign"], IMAGE).status == 204
    server.finish(created["id"])
    receiver.wait(created["id"])
    lines = [json.loads(line) for line in server.daemon.log.read_text().splitlines()]  # and nothing but JSON
    message = lambda line: line["fields"].get("message", "")
    began = next(i for i, line in enumerate(lines) if message(line) == "original arrived")
    flow = lines[began:]
    words = [message(line) for line in flow]
    assert "completed" in words and sum(word.startswith("callback") for word in words) == 2, words
    for line in flow:
        spans = {name: value for span in line.get("spans", []) for name, value in span.items()}
        assert created["id"] in (spans.get("upload"), line["fields"].get("upload")), line
        if message(line) == "completed":
            assert spans["attempt"] == 1 and spans["job"] >= 1
        if message(line) == "callback":
            assert spans["delivery"].startswith("msg_") and spans["attempt"] in (1, 2)
        if message(line) == "original arrived":
            assert len(spans["request"]) == 32


@pytest.mark.parametrize("given, kept", [("req-7.a/b", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("", False)])
def test_a_request_has_a_name(embedded, given, kept):
    for url in (embedded.url + "/healthz", embedded.store + "/tintype/image/none"):
        named = requests.get(url, headers={"x-request-id": given} if given else {}, timeout=10).headers["x-request-id"]
        assert (named == given) == kept and len(named) in ((len(given),) if kept else (32,))
    assert requests.get(embedded.store + "/tintype/image/none", timeout=10).headers["x-amz-request-id"]


# --- draining ---

def test_sigterm_under_load_loses_nothing(serve, receiver, say):
    server = serve(env={"TINTYPE_SERVER__WORKERS": "1", "TINTYPE_SERVER__DRAIN": "20s"})
    accepted, refused = [], threading.Event()

    def client():
        while not refused.is_set():
            try:
                accepted.append(put(server, MEDIUM, "a.png"))
            except (requests.RequestException, AssertionError):
                refused.set()

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client) for _ in range(8)]
        wait_for("some uploads", lambda: len(accepted) > 20)
        began = time.monotonic()
        code = server.daemon.stop(25)
        took = time.monotonic() - began
        refused.set()
        for one in clients:
            one.result()
    assert code == 0 and took < 22
    server.start()
    left = sum(server.status(upload)["status"] == "processing" for upload in accepted)
    ends = {upload: server.finish(upload, 120)["status"] for upload in accepted}
    assert set(ends.values()) == {"completed"}
    wait_for("every callback", lambda: all(receiver.of(upload, 200) for upload in accepted), 60)
    assert all(len({r.webhook_id for r in receiver.of(upload)}) == 1 for upload in accepted)
    say(f"{len(accepted)} uploads accepted, stopped in {took:.1f} s, {left} left for the next start")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(serve, receiver, second):
    server = serve(env=LARGE | {"TINTYPE_SERVER__WORKERS": "1", "TINTYPE_SERVER__DRAIN": "60s", "TINTYPE_LIMITS__DEADLINE": "60s"})
    uploads = [put(server, SLOW, "a.png") for _ in range(2)]
    child = server.daemon.child
    child.send_signal(signal.SIGTERM)
    wait_for("the drain", lambda: "stopping" in server.daemon.log.read_text())
    child.send_signal(second)
    assert child.wait(3) == 1
    server.start()
    for upload in uploads:
        assert server.finish(upload, 120)["status"] == "completed"


# --- deletions that are cut off ---

def test_a_deletion_survives_kill_9_anywhere(serve, say):
    """Killed at a moment that differs each time: afterwards the upload is whole, or nothing of it is left."""
    seed = random.randrange(1 << 30)
    rng, whole, gone, cut = random.Random(seed), 0, 0, 0
    say(f"seed {seed}")
    server, pool = serve(env={"TINTYPE_QUEUE__LEASE": "1s"}), ThreadPoolExecutor(1)
    for _ in range(8):
        upload = put(server)
        if rng.random() < 0.7:
            assert server.finish(upload)["status"] == "completed"
        deletion = pool.submit(requests.delete, f"{server.url}/v1/uploads/{upload}", timeout=5)
        time.sleep(rng.uniform(0, 0.03))
        server.daemon.kill()
        assert deletion.exception(10) or deletion.result().status_code == 204
        server.start()
        answered = not deletion.exception()
        if server.call("GET", f"/v1/uploads/{upload}").status_code == 200:
            assert not answered, seed
            assert server.finish(upload)["status"] == "completed"
            assert len({k for k in keys(server.at) if upload in k}) == 10
            whole += 1
        else:
            wait_for("nothing is left", lambda: not {k for k in keys(server.at) if upload in k}, 30)
            gone += 1
            cut += not answered
    say(f"{whole} whole, {gone} gone, {cut} of them cut off")
    with sqlite3.connect(server.home / "data/tintype.db") as db:
        wait_for("no row is left", lambda: db.execute("SELECT count(*) FROM uploads").fetchone()[0] == whole, 30)


def test_a_deletion_while_it_is_developed_leaves_nothing(serve):
    server = serve(env=LARGE | {"TINTYPE_QUEUE__LEASE": "2s"})
    for _ in range(4):
        upload = put(server, SLOW, "a.png")
        time.sleep(0.2)
        assert server.call("DELETE", f"/v1/uploads/{upload}").status_code == 204
        assert server.call("GET", f"/v1/uploads/{upload}").status_code == 404
    wait_for("nothing is left", lambda: not keys(server.at), 40)
    time.sleep(1)
    assert not keys(server.at)


# --- variants of a set that was never finished ---

def test_half_written_variants_are_collected(serve, seaweedfs, receiver):
    """The store refuses one variant again and again: the upload fails, and those that were written are gone."""
    at = seaweedfs.bucket("halves")
    broken = threading.Event()
    broken.set()
    flaky = Flaky(seaweedfs.endpoint, lambda method, key: broken.is_set() and method == "PUT" and "_400x400" in key)
    try:
        server = serve(env=at.env | {"TINTYPE_STORE__ENDPOINT": flaky.endpoint, "TINTYPE_QUEUE__ATTEMPTS": "2"})
        created = server.create(filename="a.jpg")
        at.s3.put_object(Bucket=at.bucket, Key=f"temp/{created['id']}.jpg", Body=IMAGE, ContentType="image/jpeg")
        server.announce(at.bucket, f"temp/{created['id']}.jpg")
        ended = server.finish(created["id"], 240)
        assert (ended["status"], ended["error"]["code"]) == ("failed", "store_unavailable")
        assert keys(at) == {f"temp/{created['id']}.jpg"}
        broken.clear()
        assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
        wait_for("completed", lambda: server.status(created["id"], wait=5)["status"] == "completed")
        # A later attempt that fails leaves nothing of the set before it: what failed is not readable.
        broken.set()
        assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
        wait_for("failed", lambda: server.status(created["id"], wait=5)["status"] == "failed", 240)
        assert keys(at) == {f"temp/{created['id']}.jpg"}
    finally:
        flaky.stop()


# --- moving a ledger ---

def rows(file) -> dict:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        tables = [t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlx%' AND name NOT LIKE 'sqlite_%'")]
        return {t: sorted(map(repr, db.execute(f"SELECT * FROM {t}"))) for t in tables}


def move(command: str, file, data, **more) -> subprocess.CompletedProcess:
    return tintype.run(command, file, "--data", data, **more)


def test_a_ledger_is_exported_beside_a_server_and_imported_elsewhere(serve, receiver, tmp_path):
    server = serve()
    done = [put(server) for _ in range(3)] + [put(server, b"no image")]
    for upload in done:
        server.finish(upload)
        receiver.wait(upload)
    waiting = server.create(filename="b.jpg")
    file = tmp_path / "ledger.jsonl"
    exported = move("export", file, server.home / "data", env=server.env)
    assert exported.returncode == 0 and "5 uploads" in exported.stderr, exported.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    header, *lines, last = [json.loads(line) for line in file.read_text().splitlines()]
    assert header["tintype_ledger"] >= 2 and header["engine"].startswith("tintype ")
    assert last["rows"]["uploads"] == 5 and sum(last["rows"].values()) == len(lines)
    server.stop()

    home = tmp_path / "elsewhere"
    (home / "data").mkdir(parents=True)
    imported = move("import", file, home / "data")
    assert imported.returncode == 0, imported.stderr
    assert rows(home / "data/tintype.db") == rows(server.home / "data/tintype.db")
    again = move("import", file, home / "data")
    assert again.returncode == 1 and "not empty" in again.stderr

    subprocess.run(["cp", "-r", server.home / "data/store", server.home / "data/store-credentials", home / "data/"], check=True)
    other = tintype.Server(home, receiver)
    try:
        assert [other.status(upload)["status"] for upload in done] == ["completed"] * 3 + ["failed"]
        # The credential that the first server gave out is good here.
        presign = waiting["presign"] | {"url": waiting["presign"]["url"].replace(server.store, other.store)}
        assert by_hand(presign, IMAGE).status == 204
        assert other.finish(waiting["id"])["status"] == "completed"
        token = {"Authorization": f"Bearer {waiting['token']}"}
        assert other.call("GET", f"/v1/uploads/{waiting['id']}", headers=token).status_code == 200
    finally:
        other.stop()


def test_an_export_replaces_an_export_and_nothing_else(serve, tmp_path):
    server = serve()
    put(server)
    data, pipe, photo = server.home / "data", tmp_path / "pipe", tmp_path / "photo.jpg"
    os.mkfifo(pipe)
    photo.write_bytes(IMAGE)
    for target, why in ((data / "tintype.db", "no export"), (photo, "no export"), (pipe, "no file"), (tmp_path, "no file"), ("/dev/null", "no file")):
        done = move("export", target, data, env=server.env)
        assert done.returncode == 1 and why in done.stderr, done.stderr
    assert photo.read_bytes() == IMAGE and pipe.is_fifo() and server.call("POST", "/v1/uploads", json={}).status_code == 201
    for _ in range(2):
        assert move("export", tmp_path / "ledger.jsonl", data, env=server.env).returncode == 0


def test_what_never_ends_is_not_read_to_its_end(serve, tmp_path):
    server = serve()
    upload = put(server)
    server.finish(upload)

    def in_little_memory(*args) -> subprocess.CompletedProcess:
        command = ["prlimit", f"--as={4 << 30}", tintype.BINARY, *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | server.env)

    endless = tmp_path / "endless"
    done = move("export", endless, server.home / "data", env=server.env)
    endless.write_text(endless.read_text().splitlines()[0] + "\n")
    with open(endless, "ab") as file:
        file.truncate(4 << 30)
    for name in (endless, "/dev/zero"):
        done = in_little_memory("import", name, "--data", tmp_path / "new")
        assert done.returncode == 1 and "longer than" in done.stderr, done.stderr
    done = in_little_memory("replay", upload, "--original", "/dev/zero", "--data", server.home / "data")
    assert done.returncode == 1 and "too_large" in done.stdout + done.stderr, done


def test_a_service_moves_from_sqlite_to_postgres(serve, seaweedfs, postgres, receiver, tmp_path):
    at = seaweedfs.bucket("moving")
    server = serve(env=at.env)
    server.at = at

    def develop() -> str:
        created = server.create(filename="a.jpg")
        assert boto3_style(created["presign"], IMAGE, "a.jpg").status == 204
        server.announce(at.bucket, created["presign"]["fields"]["key"])
        return created["id"]

    before = [develop() for _ in range(3)]
    assert {server.finish(upload)["status"] for upload in before} == {"completed"}
    told = {upload: receiver.wait(upload).webhook_id for upload in before}
    server.stop()
    file = tmp_path / "ledger.jsonl"
    assert move("export", file, server.home / "data", env=server.env).returncode == 0
    server.env["TINTYPE_LEDGER__URL"] = postgres.database()
    imported = move("import", file, server.home / "data", env=server.env)
    assert imported.returncode == 0 and "3 uploads" in imported.stderr, imported.stderr
    server.start()
    after = develop()
    assert {server.finish(upload)["status"] for upload in [*before, after]} == {"completed"}
    receiver.wait(after)
    assert server.call("POST", f"/v1/uploads/{before[0]}/retry").status_code == 202
    again = wait_for("told again", lambda: receiver.of(before[0], 200)[1:])
    assert again[0].webhook_id == told[before[0]]
    assert tintype.run("verify", "--deep", "--data", server.home / "data", env=server.env, cwd=server.home).returncode == 0


@pytest.mark.parametrize("spoil, why", [
    (lambda lines: lines[:-1], "cut off"),
    (lambda lines: lines[:3] + lines[4:], "rows are missing"),
    (lambda lines: lines[1:], "no header"),
    (lambda lines: [lines[0].replace('"tintype_ledger":', '"tintype_ledger":9')] + lines[1:], "version 9"),
    (lambda lines: lines[:1] + [lines[1].replace('"table":"', '"table":"x')] + lines[2:], "no table"),
    (lambda lines: lines[:1] + [lines[1].replace('"row":{', '"row":{"a) VALUES (1); --":"",')] + lines[2:], "no column"),
    (lambda lines: lines[:2] + [lines[2][:20]] + lines[3:], "is no row"),
])
def test_a_spoiled_export_changes_nothing(serve, tmp_path, spoil, why):
    server = serve()
    put(server)
    file = tmp_path / "ledger.jsonl"
    assert move("export", file, server.home / "data", env=server.env).returncode == 0
    server.stop()
    file.write_text("\n".join(spoil(file.read_text().splitlines())) + "\n")
    refused = move("import", file, tmp_path / "data")
    assert refused.returncode == 1 and why in refused.stderr, refused.stderr
    assert not any(rows(tmp_path / "data/tintype.db").values())
