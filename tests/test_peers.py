"""The peers themselves: what the rest of the tests take for granted about them."""
import json

import pytest
import requests

from support import upload
from support.process import wait_for
from support.receiver import Receiver


@pytest.fixture(scope="module", params=["seaweedfs", "ceph"])
def store(request):
    return request.getfixturevalue(request.param).bucket("peers")


def presign(store, key: str) -> dict:
    return store.s3.generate_presigned_post(
        store.bucket, key, Fields={"Content-Type": "image/*", "x-amz-meta-id": "12345"},
        Conditions=[["starts-with", "$Content-Type", "image/"], {"x-amz-meta-id": "12345"}, ["content-length-range", 0, 1000]])


@pytest.mark.parametrize("driver", upload.DRIVERS)
def test_store_takes_boto3s_form_and_refuses_a_changed_one(store, driver):
    key, send = f"temp/{driver}.jpg", upload.DRIVERS[driver]
    good = presign(store, key)
    assert send(good, b"pixels").status == 204
    assert store.s3.head_object(Bucket=store.bucket, Key=key)["Metadata"] == {"id": "12345"}
    assert send(good, b"x" * 1001).code == "EntityTooLarge"
    assert send(upload.with_fields(good, Content__Type="text/plain"), b"pixels").code == "AccessDenied"
    assert send(upload.with_fields(good, x__amz__signature="0" * 64), b"pixels").status == 403
    assert requests.get(f"{store.endpoint}/{store.bucket}/{key}").status_code == 403


def test_ceph_announces_an_upload_with_its_key_as_it_is(ceph, receiver):
    store = ceph.bucket("peers-events", f"{receiver.url}/peers")
    key = "temp/a b+c%2Fé.jpg"
    upload.boto3_style(presign(store, key), b"pixels")
    records = wait_for("notification", lambda: [
        r for got in receiver.received if got.path == "/peers" for r in json.loads(got.raw)["Records"]
        if r["s3"]["object"]["key"] == key])
    assert records[0]["eventSource"] == "ceph:s3" and records[0]["eventName"].startswith("ObjectCreated:")


def test_receiver_answers_as_told():
    backend = Receiver()
    try:
        backend.answer("/one", 500, (503, {"Retry-After": "2"}))
        answers = [requests.put(f"{backend.url}/one", data=b"{}") for _ in range(3)]
        assert [a.status_code for a in answers] == [500, 503, 200]
        assert answers[1].headers["Retry-After"] == "2" and len(backend.of("/one")) == 3
    finally:
        backend.stop()
