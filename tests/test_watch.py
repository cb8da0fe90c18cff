"""How a client follows its upload, and how a remote processor tells the end of one."""
import json
import threading
import time

import requests
from standardwebhooks import Webhook

import corpus
from support.process import wait_for
from support.receiver import SECRET
from support.upload import boto3_style

PHOTO = corpus.good()["baseline.jpg"]


def test_long_poll_answers_at_the_end_and_not_before(embedded):
    created = embedded.create(filename="a.jpg")
    started = time.monotonic()
    assert embedded.status(created["id"], wait=1)["status"] == "pending"
    assert 0.9 < time.monotonic() - started < 5
    sender = threading.Timer(0.3, boto3_style, (created["presign"], PHOTO))
    sender.start()
    started = time.monotonic()
    assert embedded.status(created["id"], wait=30)["status"] == "completed"
    assert time.monotonic() - started < 10
    sender.join()


def test_server_sent_events_tell_every_change_to_the_end(embedded):
    created = embedded.create(filename="a.jpg")
    told = []
    with requests.get(created["events_url"], stream=True, timeout=30) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        for line in stream.iter_lines(decode_unicode=True):
            if line.startswith("data:"):
                told.append(json.loads(line[5:]))
                if len(told) == 1:
                    assert boto3_style(created["presign"], PHOTO).status == 204
    statuses = [view["status"] for view in told]
    assert statuses[0] == "pending" and statuses[-1] == "completed" and set(statuses[1:-1]) <= {"processing"}
    assert len(told[-1]["manifest"]["variants"]) == 8


def manifest_of(server, upload_id: str) -> dict:
    """A manifest as a processor elsewhere would make it: here, another upload's, moved to this one's keys."""
    other = server.create(filename="a.jpg")
    assert boto3_style(other["presign"], PHOTO).status == 204
    manifest = server.finish(other["id"])["manifest"]
    for variant in manifest["variants"]:
        body = requests.get(variant["url"], timeout=30).content
        server.at.s3.put_object(Bucket="tintype", Key=variant["key"].replace(other["id"], upload_id), Body=body)
    return json.loads(json.dumps(manifest).replace(other["id"], upload_id))


def test_remote_processor_tells_the_end(serve, receiver):
    server = serve(env={"TINTYPE_AUTH__KEYS": ""})
    created = server.create(filename="a.jpg")
    body = json.dumps({"id": created["id"], "status": "completed", **manifest_of(server, created["id"])})
    path = f"/v1/uploads/{created['id']}/result"
    answer = server.call("PUT", path, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["status"]) == (200, "completed"), answer.text
    assert receiver.wait(created["id"]).verify()["status"] == "completed"  # passed on to the backend


def test_result_needs_a_key_or_a_signature_and_true_variants(serve, receiver):
    import datetime
    import hashlib
    server = serve(env={"TINTYPE_AUTH__KEYS": "sha256:" + hashlib.sha256(b"key").hexdigest()})
    server.http.headers["Authorization"] = "Bearer key"
    created = server.create(filename="a.jpg")
    path, nobody = f"/v1/uploads/{created['id']}/result", {"Authorization": None}
    failed = json.dumps({"id": created["id"], "status": "failed", "error": {"code": "corrupt", "message": "cut off"}})
    assert server.call("PUT", path, data=failed, headers=nobody).status_code == 401
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = {"webhook-id": "msg_1", "webhook-timestamp": str(int(now.timestamp())), **nobody,
              "webhook-signature": Webhook(SECRET).sign("msg_1", now, failed)}
    assert server.call("PUT", path, data=failed + " ", headers=signed).status_code == 401
    missing = json.dumps({"processed_key": f"image/{created['id']}.jpg"})
    assert server.call("PUT", path, data=missing).json()["code"] == "variant_missing"
    assert server.call("PUT", path, data=json.dumps({"processed_key": "temp/x"})).json()["code"] == "invalid_request"
    assert server.status(created["id"])["status"] == "pending"
    assert server.call("PUT", path, data=failed, headers=signed).status_code == 200
    upload = server.status(created["id"])
    assert (upload["status"], upload["error"]["code"]) == ("failed", "corrupt")
    assert receiver.wait(created["id"]).verify()["error"] == {"code": "corrupt", "message": "cut off"}


def test_listings_page_through_everything_once(serve):
    server = serve(backend=None)
    ids = {upload["id"] for upload in server.call("POST", "/v1/uploads", json=[{}] * 7).json()}
    seen, cursor = [], None
    while True:
        query = "limit=3" + (f"&cursor={cursor}" if cursor else "")
        page = server.call("GET", f"/v1/uploads?status=pending&{query}").json()
        seen += [upload["id"] for upload in page["uploads"]]
        cursor = page["cursor"]
        if not cursor:
            break
    assert len(seen) == 7 and set(seen) == ids
    assert server.call("GET", "/v1/uploads?status=nonsense").json()["code"] == "invalid_request"
    assert wait_for("counts", lambda: server.call("GET", "/readyz").json())["uploads"] == {"pending": 7}
