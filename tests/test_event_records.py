"""Storage events in every store's own shape, and each of their records judged alone."""
import hashlib
import hmac
import json

import pytest
import requests

import corpus
from support import tintype
from support.function import in_sqs, s3_event

PHOTO = corpus.good()["baseline.jpg"]
# What no key can name, and why.
ODD = {"temp/folder/": "folder", "temp//double.jpg": "segment", "temp/../up.jpg": "segment", "temp/nul\0.jpg": "control character",
       "temp/" + "x" * 1100: "too long"}
API_KEY = "tt_records0key0that0is0long0enough"
B2_SECRET = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"


def r2(action: str, key: str, bucket: str = "tintype") -> dict:
    """https://developers.cloudflare.com/r2/buckets/event-notifications/#message-format"""
    return {"account": "3f4b7e3dcab231cbfdaa90a6a28bd548", "action": action, "bucket": bucket,
            "object": {"key": key, "size": len(PHOTO), "eTag": hashlib.md5(PHOTO).hexdigest()}, "eventTime": "2026-05-24T19:36:44.379Z"}


def b2(*events: tuple[str, str], bucket: str = "tintype") -> dict:
    """https://www.backblaze.com/docs/cloud-storage-event-notifications-reference-guide"""
    return {"events": [{"accountId": "e85c6a5a0b1d", "bucketId": "aea8c5bc362ae55070130333", "bucketName": bucket, "eventId": f"e{n}",
                        "eventTimestamp": 1684793309123, "eventType": kind, "eventVersion": 1, "matchedRuleName": "uploads",
                        "objectName": name, "objectSize": len(PHOTO)} for n, (kind, name) in enumerate(events)]}


def push(server, body, **headers) -> requests.Response:
    return server.call("POST", "/v1/events", data=body if isinstance(body, (str, bytes)) else json.dumps(body), headers=headers)


def keys_of(server, answer: requests.Response) -> set[str]:
    return {server.finish(upload)["manifest"]["original"]["key"] for upload in answer.json()["accepted"]}


def quiet_put(server, *keys: str) -> None:
    """Objects whose own events are through."""
    for key in keys:
        server.at.s3.put_object(Bucket="tintype", Key=key, Body=PHOTO, ContentType="image/jpeg")


# --- one odd record among others -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("wrap", [lambda event: event, lambda event: in_sqs(event)], ids=["s3", "sqs"])
def test_a_record_that_names_no_object_holds_nobody_back(embedded, wrap):
    good = [f"temp/records/{n}.jpg" for n in range(3)]
    quiet_put(embedded, *good)
    named = [good[0], *ODD, good[1], good[2]]
    answer = push(embedded, wrap(tintype.notification("tintype", *named, source="ceph:s3")))
    assert answer.status_code == 200, answer.text
    assert keys_of(embedded, answer) == set(good)
    told = {one["key"]: one["reason"] for one in answer.json()["ignored"]}
    assert told.keys() == {key[:1024] for key in ODD}
    assert all(why in told[key[:1024]] for key, why in ODD.items()), told
    counted = embedded.call("GET", "/metrics").text
    assert 'tintype_event_records_total{outcome="unusable"}' in counted


def test_what_is_no_event_at_all_is_still_refused(embedded):
    for body in ({"Records": [{}]}, {"Records": [7, {"eventName": 1}]}, {"events": [{"eventType": "push"}]}, {"account": "a"}, [], "{", {}):
        answer = push(embedded, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), (body, answer.text)
    mixed = tintype.notification("tintype", "temp/mixed.jpg")
    quiet_put(embedded, "temp/mixed.jpg")
    mixed["Records"].insert(0, {"eventName": 1})
    answer = push(embedded, mixed)
    assert answer.status_code == 200 and keys_of(embedded, answer) == {"temp/mixed.jpg"}
    assert [one["key"] for one in answer.json()["ignored"]] == [""]


# --- R2, B2, MinIO -------------------------------------------------------------------------------------------------------

def test_r2s_messages_are_work_one_by_one_or_as_a_batch(embedded):
    keys = ["temp/r2/a b+c%20.jpg", "temp/r2/copied.jpg", "temp/r2/parts.jpg"]
    quiet_put(embedded, *keys)
    for key, action in zip(keys, ["PutObject", "CopyObject", "CompleteMultipartUpload"]):
        answer = push(embedded, r2(action, key))
        assert answer.status_code == 200 and keys_of(embedded, answer) == {key}, answer.text
    batch = [r2("PutObject", keys[0]), r2("DeleteObject", keys[1]), r2("PutObject", "temp//odd"), r2("PutObject", keys[2], bucket="other")]
    answer = push(embedded, batch).json()
    assert len(answer["accepted"]) == 1 and [one["key"] for one in answer["ignored"]] == ["temp//odd", keys[2]]


@pytest.fixture(scope="module")
def told_by_b2(tmp_path_factory):
    env = {"TINTYPE_AUTH__KEYS": f"sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()} admin", "TINTYPE_EVENTS__B2_SECRET": B2_SECRET,
           "TINTYPE_LOG__LEVEL": "trace"}
    server = tintype.Server(tmp_path_factory.mktemp("b2"), env=env)
    server.http.headers["Authorization"] = f"Bearer {API_KEY}"
    yield server
    server.stop()


def signed(body: bytes, secret: str = B2_SECRET) -> str:
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def as_b2(server, body: bytes, signature: str | None) -> requests.Response:
    headers = {"Content-Type": "application/json"} | ({"X-Bz-Event-Notification-Signature": signature} if signature else {})
    return requests.post(server.url + "/v1/events", data=body, headers=headers, timeout=30)


def test_b2s_signed_push_is_work(told_by_b2):
    keys = ["temp/b2/a b+c%20.jpg", "temp/b2/parts.jpg"]
    quiet_put(told_by_b2, *keys)
    body = json.dumps(b2(("b2:ObjectCreated:Upload", keys[0]), ("b2:ObjectCreated:MultipartUpload", keys[1]), ("b2:ObjectDeleted:Delete", "temp/x.jpg"),
                         ("b2:HideMarkerCreated:Hide", "temp/y.jpg"), ("b2:ObjectCreated:Upload", "temp/folder/"))).encode()
    answer = as_b2(told_by_b2, body, signed(body))
    assert answer.status_code == 200 and keys_of(told_by_b2, answer) == set(keys), answer.text
    assert answer.json()["ignored"] == [{"key": "temp/folder/", "reason": "it is a folder, not an image"}]
    test = json.dumps({"events": [{"eventType": "b2:TestEvent", "eventVersion": 1}]}).encode()
    assert as_b2(told_by_b2, test, signed(test)).json() == {"accepted": [], "ignored": []}


@pytest.mark.parametrize("forge", [
    lambda body: (body, None), lambda body: (body, ""), lambda body: (body, signed(body)[3:]), lambda body: (body, "v2" + signed(body)[2:]),
    lambda body: (body, signed(body)[:-2]), lambda body: (body, signed(body, "another secret of 32 characters")),
    lambda body: (body.replace(b"temp/f.jpg", b"temp/g.jpg"), signed(body)), lambda body: (body + b" ", signed(body)),
], ids=["none", "empty", "no version", "version 2", "cut", "another secret", "another body", "one byte more"])
def test_what_b2_did_not_sign_is_refused(told_by_b2, forge):
    body, signature = forge(json.dumps(b2(("b2:ObjectCreated:Upload", "temp/f.jpg"))).encode())
    answer = as_b2(told_by_b2, body, signature)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), answer.text
    assert B2_SECRET not in told_by_b2.log() and B2_SECRET not in told_by_b2.call("GET", "/v1/config").text


def test_b2_cannot_push_where_no_secret_is_set(tmp_path):
    server = tintype.Server(tmp_path, env={"TINTYPE_AUTH__KEYS": f"sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()} admin"}, ready="/healthz")
    try:
        body = json.dumps(b2(("b2:ObjectCreated:Upload", "temp/f.jpg"))).encode()
        answer = as_b2(server, body, signed(body, ""))
        assert answer.status_code == 401 and "events.b2_secret" in answer.json()["detail"]
    finally:
        server.stop()


def test_minios_webhook_is_s3s(embedded):
    quiet_put(embedded, "temp/minio/a b.jpg")
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "tintype/temp/minio/a b.jpg"} | s3_event("tintype", "temp/minio/a b.jpg")
    body["Records"][0] |= {"eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put"}
    body["Records"][0]["s3"]["object"]["key"] = "temp%2Fminio%2Fa+b.jpg"
    assert keys_of(embedded, push(embedded, body)) == {"temp/minio/a b.jpg"}
