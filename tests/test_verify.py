"""`tintype verify`: what does not fit is found and mended, what is under way is not told."""
import json
import random
import sqlite3
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

import corpus
from support import tintype
from support.process import wait_for
from support.store_files import blob, record, rot
from support.upload import boto3_style

IMAGE = corpus.good()["420.jpg"]


def put(server, data: bytes = IMAGE, filename: str = "a.jpg") -> str:
    created = server.create(filename=filename, metadata={"id": "7"})
    assert boto3_style(created["presign"], data, filename).status == 204
    return created["id"]


def verify(server, *flags) -> tuple[int, list[dict], dict]:
    """Exit code, findings, and the last line."""
    done = tintype.run("verify", "--data", server.home / "data", "--json", *flags, env=server.env, cwd=server.home)
    assert done.returncode in (0, 1), done.stderr
    *findings, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode == 0) == last["holds"], done.stdout
    return done.returncode, findings, last["checked"]


def kinds(findings: list[dict]) -> list[tuple]:
    return sorted((f["kind"], f["key"]) for f in findings)


def age(server, key: str, **by) -> None:
    """Makes an object of the embedded store older than it is."""
    file = record(server, key)
    content = json.loads(file.read_text())
    content["modified"] = (datetime.now(timezone.utc) - timedelta(**by)).isoformat()
    file.write_text(json.dumps(content))


def sql(server, statement: str, *values) -> None:
    with sqlite3.connect(server.home / "data/tintype.db", timeout=30) as db:
        db.execute(statement, values)


def test_a_store_as_it_should_be_fits(serve):
    server = serve()
    done = [server.finish(put(server)) for _ in range(3)]
    failed = server.finish(put(server, b"no image at all"))
    waiting = server.create(filename="b.jpg")
    assert [u["status"] for u in done] == ["completed"] * 3 and failed["status"] == "failed" and waiting["status"] == "pending"
    for flags in ((), ("--deep",)):
        code, findings, checked = verify(server, *flags)
        assert (code, findings) == (0, [])
        assert (checked["uploads"], checked["variants"], checked["objects"], checked["originals"]) == (5, 24, 27, 4)
    words = tintype.run("verify", "--data", server.home / "data", env=server.env, cwd=server.home)
    assert words.returncode == 0 and "all fits" in words.stdout


def test_what_does_not_fit_is_found_and_developed_again(serve, receiver):
    server = serve()
    lost, rotten, other = (put(server) for _ in range(3))
    for upload in (lost, rotten, other):
        assert server.finish(upload)["status"] == "completed"
    s3, small = server.at.s3, "image/{}_50x50.jpg".format
    s3.delete_object(Bucket="tintype", Key=small(lost))
    rot(blob(server, small(rotten)))
    manifest = f"image/{other}.jpg.manifest.json"
    s3.put_object(Bucket="tintype", Key=manifest, Body=b'{"not": "it"}', ContentType="application/json")

    expected = [("manifest_differs", manifest), ("variant_missing", small(lost))]
    assert kinds(verify(server)[1]) == expected
    code, findings, _ = verify(server, "--deep")
    assert code == 1 and kinds(findings) == sorted([*expected, ("variant_damaged", small(rotten))])
    assert {f["action"] for f in findings} == {"none"}

    _, findings, checked = verify(server, "--deep", "--repair")
    assert {f["action"] for f in findings} == {"enqueued"} and checked["enqueued"] == 3
    wait_for("all fits", lambda: verify(server, "--deep")[0] == 0)
    for upload in (lost, rotten, other):
        assert server.finish(upload)["status"] == "completed"


def test_what_cannot_be_mended_is_left_with_the_reason(serve):
    server = serve()
    gone, rotten = put(server), put(server)
    for upload in (gone, rotten):
        assert server.finish(upload)["status"] == "completed"
    server.at.s3.delete_object(Bucket="tintype", Key=f"image/{gone}_50x50.jpg")
    server.at.s3.delete_object(Bucket="tintype", Key=f"temp/{gone}.jpg")
    server.at.s3.delete_object(Bucket="tintype", Key=f"image/{rotten}_50x50.jpg")
    rot(blob(server, f"temp/{rotten}.jpg"))
    _, findings, _ = verify(server, "--repair")  # not --deep: what is developed again is read first all the same
    why = {f["upload"]: f["action"]["impossible"] for f in findings if f["kind"] == "variant_missing"}
    assert why == {gone: "the original is not kept any more", rotten: "the original is damaged too"}
    assert all(server.status(upload)["status"] == "completed" for upload in (gone, rotten))
    assert ("original_damaged", f"temp/{rotten}.jpg") in kinds(verify(server, "--deep")[1])


def test_a_row_without_a_job_and_an_original_without_a_row(serve, receiver):
    server = serve()
    stuck, nobodys, waits = (put(server) for _ in range(3))
    for upload in (stuck, nobodys, waits):
        assert server.finish(upload)["status"] == "completed"
    server.stop()  # a server would take them up by itself
    sql(server, "UPDATE uploads SET status = 'processing', manifest = NULL WHERE id = ?", stuck)
    sql(server, "UPDATE uploads SET status = 'pending', manifest = NULL WHERE id = ?", waits)
    sql(server, "DELETE FROM uploads WHERE id = ?", nobodys)
    for upload in (nobodys, waits):
        age(server, f"temp/{upload}.jpg", minutes=30)
    findings = verify(server)[1]
    assert kinds(findings) == sorted([("job_missing", f"temp/{stuck}.jpg"), ("original_unclaimed", f"temp/{nobodys}.jpg"),
                                      ("original_unclaimed", f"temp/{waits}.jpg")])
    assert [f["upload"] for f in findings if f["kind"] == "job_missing"] == [stuck]
    verify(server, "--repair")
    server.start()
    for upload in (stuck, nobodys, waits):
        assert wait_for("completed", lambda: server.finish(upload)["status"] == "completed")
    assert verify(server, "--deep")[:2] == (0, [])


def test_orphans_are_removed_once_they_are_a_day_old(serve):
    server = serve()
    kept = put(server)
    assert server.finish(kept)["status"] == "completed"
    s3 = server.at.s3
    failed = put(server, b"no image")
    assert server.finish(failed)["status"] == "failed"
    orphans = {"image/stray.txt": 3, "image/2026/a_b_c_50x50.jpg": 3, f"image/{failed}_50x50.jpg": 3, f"image/{kept}_900x900.jpg": 3,
               "image/young.jpg": 0, "image/hours.jpg": 0.5}
    for key, days in orphans.items():
        s3.put_object(Bucket="tintype", Key=key, Body=IMAGE)
        age(server, key, days=days)
    # A manifest of a backfill: no row knows it, and it and its variants are no orphans.
    manifest = json.loads(s3.get_object(Bucket="tintype", Key=f"image/{kept}.jpg.manifest.json")["Body"].read())
    manifest["original"]["key"] = "photos/x_y.jpg"
    manifest["variants"] = [v | {"key": v["key"].replace(kept, "photos/x_y")} for v in manifest["variants"]]
    for variant in manifest["variants"]:
        s3.put_object(Bucket="tintype", Key=variant["key"], Body=b"x")
        age(server, variant["key"], days=3)
    s3.put_object(Bucket="tintype", Key="image/photos/x_y.jpg.manifest.json", Body=json.dumps(manifest).encode())

    code, findings, checked = verify(server)
    assert kinds(findings) == sorted(("orphan", key) for key in orphans if key != "image/young.jpg")
    assert (code, checked["in_flight"]) == (1, 1)
    code, findings, checked = verify(server, "--delete-orphans")
    acts = {f["key"]: f["action"] for f in findings}
    assert {key for key, act in acts.items() if act == "deleted"} == {key for key, days in orphans.items() if days == 3}
    assert acts["image/hours.jpg"] == {"impossible": "it is not a day old"} and checked["deleted"] == 4
    left = {o["Key"] for o in s3.list_objects_v2(Bucket="tintype", Prefix="image/")["Contents"]}
    assert "image/stray.txt" not in left and {f"image/{kept}.jpg", "image/photos/x_y_50x50.jpg", "image/young.jpg"} <= left


def test_beside_a_busy_server_nothing_is_told(serve, say):
    """Uploads, retries and deletions go on while it looks, again and again: none of it is taken for broken."""
    server = serve()
    ids, stop, seed = [], threading.Event(), random.randrange(1 << 30)
    rng = random.Random(seed)
    say(f"seed {seed}")

    def busy():
        while not stop.is_set():
            ids.append(put(server))
            if len(ids) > 5 and rng.random() < 0.5:
                server.call("POST", f"/v1/uploads/{rng.choice(ids)}/retry")
            if len(ids) > 5 and rng.random() < 0.4:
                server.call("DELETE", f"/v1/uploads/{ids.pop(rng.randrange(len(ids)))}")

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    looks, until = 0, time.monotonic() + 12
    try:
        while time.monotonic() < until:
            code, findings, _ = verify(server, *(["--deep"] if looks % 2 else []))
            assert (code, findings) == (0, []), (seed, findings)
            looks += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    say(f"{looks} looks beside {len(ids)} uploads and more")
    assert looks >= 3


@pytest.mark.parametrize("deployment", ["seaweedfs", "seaweedfs+postgres"], indirect=True)
def test_a_bucket_of_ones_own_is_verified_too(deployment):
    created = deployment.create(filename="a.jpg")
    assert boto3_style(created["presign"], IMAGE, "a.jpg").status == 204
    deployment.announce(deployment.at.bucket, created["presign"]["fields"]["key"])
    assert deployment.finish(created["id"])["status"] == "completed"
    mine = lambda findings: [f for f in findings if created["id"] in (f["key"] or "")]
    assert mine(verify(deployment, "--deep")[1]) == []
    small = f"image/{created['id']}_50x50.jpg"
    deployment.at.s3.delete_object(Bucket=deployment.at.bucket, Key=small)
    assert kinds(mine(verify(deployment)[1])) == [("variant_missing", small)]
    assert {f["action"] for f in mine(verify(deployment, "--repair")[1])} == {"enqueued"}
    wait_for("it fits", lambda: mine(verify(deployment, "--deep")[1]) == [])


def test_what_is_not_there_cannot_be_verified(tmp_path):
    done = tintype.run("verify", "--data", tmp_path / "nothing", cwd=tmp_path)
    assert done.returncode == 2 and "ledger" in done.stderr and not (tmp_path / "nothing").exists()
