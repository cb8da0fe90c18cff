"""`tintype replay`: the same code on the same input, step by step, beside a server that runs."""
import json

import pytest

import corpus
from support import tintype
from support.pillow import NAMES
from support.store_files import blob, rot
from support.upload import boto3_style

IMAGE = corpus.save(corpus.photo(800, 600, 30), "JPEG", quality=85, exif=corpus.exif(6))
STEPS = ["load", "analyze", "render", "save"]


def put(server, data: bytes = IMAGE, filename: str = "a.jpg") -> str:
    created = server.create(filename=filename, metadata={"id": "7"})
    assert boto3_style(created["presign"], data, filename).status == 204
    server.finish(created["id"])
    return created["id"]


def replay(server, upload_id: str, *flags, env: dict | None = None) -> tuple[int, dict]:
    done = tintype.run("replay", upload_id, "--data", server.home / "data", "--json", *flags,
                       env=server.env | (env or {}), cwd=server.home)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def objects(server) -> dict:
    listed = server.at.s3.list_objects_v2(Bucket="tintype").get("Contents", [])
    return {o["Key"]: (o["ETag"], o["LastModified"]) for o in listed}


def test_a_completed_upload_comes_to_the_same_again(serve, receiver, tmp_path):
    server = serve()
    upload_id = put(server)
    receiver.wait(upload_id)
    before, row = objects(server), server.status(upload_id)
    code, told = replay(server, upload_id, "--out", tmp_path / "out")
    assert code == 0 and told["outcome"]["same"]
    assert [s["step"] for s in told["steps"]] == STEPS and all(s["ms"] >= 0 for s in told["steps"])
    facts = {s["step"]: s["facts"] for s in told["steps"]}
    assert facts["load"]["bytes"] == len(IMAGE) and facts["load"]["memory_estimate"].endswith(" MiB")
    assert (facts["analyze"]["width"], facts["analyze"]["height"], facts["analyze"]["orientation"]) == (600, 800, 6)
    assert {v["name"]: v["verdict"] for v in told["outcome"]["variants"]} == dict.fromkeys(NAMES, "same")
    for variant in row["manifest"]["variants"]:
        assert (tmp_path / "out" / variant["key"]).stat().st_size == variant["bytes"]
    assert [d["status"] for d in told["upload"]["deliveries"]] == ["delivered"]
    assert objects(server) == before and server.status(upload_id) == row, "it wrote to the service"


def test_words_for_a_person(serve):
    server = serve()
    upload_id = put(server)
    done = tintype.run("replay", upload_id, "--data", server.home / "data", env=server.env, cwd=server.home)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and "8 of 8 variants are the same" in lines[-1], done.stdout
    starts = [line.split()[0] for line in lines]
    assert all(step in starts for step in ["upload", "preset", *STEPS])
    assert sorted(starts, key=lambda s: STEPS.index(s) if s in STEPS else -1)[-4:] == STEPS


def test_another_preset_differs_and_says_so(serve):
    server = serve()
    upload_id = put(server)
    code, told = replay(server, upload_id, env={"TINTYPE_VARIANTS__QUALITY": "40"})
    verdicts = {v["name"]: v["verdict"] for v in told["outcome"]["variants"]}
    assert code == 1 and verdicts["50x50"] == "differs" and verdicts["original"] == "same"


@pytest.mark.parametrize("name", ["truncated.jpg", "empty.jpg"])
def test_a_failure_is_the_one_of_the_job(serve, name):
    broken = {"truncated.jpg": IMAGE[:60], "empty.jpg": b"\0"}
    server = serve()
    upload_id = put(server, broken[name], name)
    error = server.status(upload_id)["error"]
    code, told = replay(server, upload_id)
    assert code == 1 and told["outcome"]["error"] == error == told["upload"]["error"]


def test_an_original_that_is_gone_can_be_given(serve, tmp_path):
    server = serve()
    upload_id = put(server)
    server.at.s3.delete_object(Bucket="tintype", Key=f"temp/{upload_id}.jpg")
    assert replay(server, upload_id)[1]["outcome"]["error"]["code"] == "not_found"
    (tmp_path / "mine.jpg").write_bytes(IMAGE)
    code, told = replay(server, upload_id, "--original", tmp_path / "mine.jpg")
    assert code == 0 and told["outcome"]["same"]


def test_damage_on_disk_is_named(serve):
    server = serve()
    upload_id = put(server)
    rot(blob(server, f"temp/{upload_id}.jpg"))
    code, told = replay(server, upload_id)
    assert code == 1 and told["outcome"]["error"]["code"] == "corrupt_storage" and told["outcome"]["would_be_tried_again"]


def test_an_upload_that_is_not_there_is_wrong_usage(serve):
    server = serve()
    done = tintype.run("replay", "0" * 32, "--data", server.home / "data", env=server.env, cwd=server.home)
    assert done.returncode == 2 and "there is no upload" in done.stderr
    assert tintype.run("replay", "nonsense", cwd=server.home).returncode == 2


@pytest.mark.parametrize("deployment", ["seaweedfs", "seaweedfs+postgres"], indirect=True)
def test_from_a_bucket_of_ones_own(deployment):
    created = deployment.create(filename="a.jpg")
    assert boto3_style(created["presign"], IMAGE, "a.jpg").status == 204
    deployment.announce(deployment.at.bucket, created["presign"]["fields"]["key"])
    assert deployment.finish(created["id"])["status"] == "completed"
    assert replay(deployment, created["id"])[0] == 0
