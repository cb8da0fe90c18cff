"""The six steps, one code path, against every store and with every kind of client."""
import io

import pytest
import requests
from PIL import Image

import corpus
from support import upload as drivers
from support.pillow import NAMES, expected_sizes, opened
from support.process import wait_for

PHOTO = corpus.save(corpus.photo(1600, 1200, 30), "JPEG", quality=85, exif=corpus.exif(6))
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp", "TIFF": "image/tiff", "BMP": "image/bmp"}
METADATA = {"id": "12345", "owner": "user-7"}


def send(deployment, created: dict, data: bytes, driver, **options) -> None:
    """Steps 4 and 5: the upload and, where the store cannot tell of it, the event in its stead."""
    answer = driver(created["presign"], data, **options)
    assert answer.status == 204, answer.text
    if not deployment.at.notifies:
        deployment.announce(deployment.at.bucket, created["presign"]["fields"]["key"])


def check_variants(manifest: dict, data: bytes, metadata: dict | None) -> None:
    """Every variant by its URL: there, of the right type and size, with the client's metadata."""
    sizes = expected_sizes(data)
    assert sorted(v["name"] for v in manifest["variants"]) == sorted(NAMES)
    for variant in manifest["variants"]:
        got = requests.get(variant["url"], timeout=30)
        assert got.status_code == 200, (variant["url"], got.text)
        image = opened(got.content)
        expected = Image.open(io.BytesIO(data)).size if variant["name"] == "original" else sizes[variant["name"]]
        assert image.size == expected, variant["name"]
        assert (variant["width"], variant["height"]) == sizes[variant["name"]], variant["name"]
        assert got.headers["Content-Type"] == variant["content_type"] == TYPES[image.format]
        assert variant["bytes"] == len(got.content)
        for name, value in (metadata or {}).items():
            assert got.headers[f"x-amz-meta-{name}"] == value


@pytest.mark.parametrize("driver", drivers.DRIVERS)
def test_upload_is_developed_and_called_back(deployment, receiver, driver):
    created = deployment.create(metadata=METADATA, filename="Corgi.JPG")
    assert created["status"] == "pending" and created["token"]
    promised = {v["name"]: (v["key"], v["url"]) for v in created["variants"]}
    assert sorted(promised) == sorted(NAMES)

    send(deployment, created, PHOTO, drivers.DRIVERS[driver], filename="Corgi.JPG")
    upload = deployment.call("GET", f"/v1/uploads/{created['id']}?wait=30").json()
    assert upload["status"] == "completed", upload
    manifest = upload["manifest"]
    assert {v["name"]: (v["key"], v["url"]) for v in manifest["variants"]} == promised
    assert promised["original"][0] == f"image/{created['id']}.jpg"
    assert manifest["metadata"] == METADATA
    assert (manifest["original"]["width"], manifest["original"]["height"]) == (1200, 1600)
    assert manifest["image"]["orientation"] == 6 and manifest["image"]["format"] == "jpeg"
    check_variants(manifest, PHOTO, METADATA)

    stored = requests.get(promised["original"][1] + ".manifest.json", timeout=30)
    assert stored.status_code == 200 and stored.json()["variants"] == manifest["variants"]

    call = receiver.wait(created["id"])
    body = call.verify()
    assert (call.method, call.path) == ("PUT", f"/callback/{created['id']}")
    assert (body["id"], body["status"], body["processed_key"]) == (created["id"], "completed", promised["original"][0])
    assert body["variants"] == manifest["variants"]


def test_presigned_put_is_developed_and_held_to_what_it_signs(deployment, receiver):
    data, metadata = corpus.good()["baseline.jpg"], METADATA | {"note": "a  b   c"}
    created = deployment.create(method="PUT", filename="a.jpg", content_type="image/jpeg", size=len(data), metadata=metadata)
    presign = created["presign"]
    assert (presign["method"], presign["fields"], presign["constraints"]["enforced_by"]) == ("PUT", {}, "store")
    headers = presign["headers"]
    for wrong in (headers | {"Content-Type": "text/html"}, headers | {"x-amz-meta-id": "6"}):
        assert requests.put(presign["url"], data=data, headers=wrong, timeout=30).status_code in (400, 403)
    longer = headers | {"Content-Length": str(len(data) + 1)}
    assert requests.put(presign["url"], data=data + b"x", headers=longer, timeout=30).status_code in (400, 403)
    assert requests.put(presign["url"], data=data, headers=headers, timeout=30).status_code == 200
    if not deployment.at.notifies:
        deployment.announce(deployment.at.bucket, f"temp/{created['id']}.jpg")
    upload = deployment.finish(created["id"])
    assert upload["status"] == "completed", upload
    check_variants(upload["manifest"], data, metadata)
    receiver.wait(created["id"]).verify()
    assert deployment.create(method="PUT")["presign"]["constraints"]["enforced_by"] == "processor"


def test_exact_type_promises_its_extension(deployment):
    created = deployment.create(content_type="image/png")
    promised = {v["key"] for v in created["variants"]}
    assert f"image/{created['id']}_50x50.png" in promised
    send(deployment, created, PHOTO, drivers.boto3_style)  # a JPEG all the same: the promise holds, the type tells the truth
    manifest = deployment.finish(created["id"])["manifest"]
    assert {v["key"] for v in manifest["variants"]} == promised
    assert {v["content_type"] for v in manifest["variants"]} == {"image/jpeg"}


def test_key_without_extension_gets_the_formats(deployment, receiver):
    data = corpus.good()["rgba8.png"]
    created = deployment.create()
    send(deployment, created, data, drivers.boto3_style, content_type="image/png")
    upload = deployment.finish(created["id"])
    assert upload["status"] == "completed", upload
    assert [v["key"] for v in upload["manifest"]["variants"] if v["name"] == "50x50_blurred"] == [f"image/{created['id']}_50x50_blurred.png"]
    check_variants(upload["manifest"], data, None)


def test_second_event_only_calls_back_again(deployment, receiver):
    created = deployment.create(filename="a.jpg")
    send(deployment, created, PHOTO, drivers.by_hand)
    first = deployment.finish(created["id"])
    receiver.wait(created["id"])
    deployment.announce(deployment.at.bucket, created["presign"]["fields"]["key"])
    wait_for("second callback", lambda: len(receiver.of(created["id"], 200)) >= 2)
    assert deployment.status(created["id"])["manifest"] == first["manifest"]


def test_foreign_objects_of_one_event_are_all_developed(deployment, receiver):
    """Keys Tintype never promised: nested, with spaces and signs, outside the prefix; several records."""
    keys = {"temp/2026/a b+c é.JPG": "image/2026/a b+c é_50x50.jpg", "temp/50%2F50.jpg": "image/50%2F50_50x50.jpg",
            "test/key": "image/test/key_50x50.jpeg"}
    for key in keys:
        deployment.at.s3.put_object(Bucket=deployment.at.bucket, Key=key, Body=PHOTO, ContentType="image/jpeg")
    if not deployment.at.notifies:
        deployment.announce(deployment.at.bucket, *keys)
    for key, small in keys.items():
        head = wait_for(small, lambda: deployment.at.s3.head_object(Bucket=deployment.at.bucket, Key=small), 30)
        assert head["ContentType"] == "image/jpeg"
        wait_for(f"callback of {key}", lambda: [r for r in receiver.received if r.body["original"]["key"] == key])


def test_seed_alias_serves_the_seeds_clients(deployment, receiver):
    path = "/async_image_upload/presignedurl/"
    answer = deployment.call("POST", path, json={"metadata": {"id": "12345"}})
    assert answer.status_code == 201, answer.text
    seed = answer.json()
    assert {"uuid", "credential", "timestamp_expire", "processed_key", "error", "status", "metadata"} <= set(seed)
    assert set(seed["credential"]) == {"url", "fields"} and seed["metadata"] == {"id": "12345"}

    send(deployment, {"presign": seed["credential"]}, PHOTO, drivers.by_hand)
    assert deployment.finish(seed["uuid"])["status"] == "completed"
    after = deployment.call("GET", f"{path}{seed['uuid']}/").json()
    assert after["uuid"] == seed["uuid"] and after["processed_key"] == f"image/{seed['uuid']}.jpeg"
    assert not after["error"]


@pytest.mark.parametrize("result, status", [({"processed_key": "image/{uuid}.jpg"}, "completed"), ({"error": "not an image"}, "failed")])
def test_seeds_lambda_calls_back_into_the_alias(embedded, result, status):
    path = "/async_image_upload/presignedurl/"
    seed = embedded.call("POST", path, json={"metadata": {}}).json()
    result = {name: value.format(**seed) for name, value in result.items()}
    if "processed_key" in result:
        refused = embedded.call("PUT", f"{path}{seed['uuid']}/", json=result)
        assert (refused.status_code, refused.json()["code"]) == (409, "variant_missing")
        embedded.at.s3.put_object(Bucket="tintype", Key=result["processed_key"], Body=PHOTO, ContentType="image/jpeg")
    answer = embedded.call("PUT", f"{path}{seed['uuid']}/", json=result)
    assert answer.status_code == 200, answer.text
    after = embedded.call("GET", f"{path}{seed['uuid']}/").json()
    assert after["processed_key"] == result.get("processed_key") or not result.get("processed_key")
    assert embedded.status(seed["uuid"])["status"] == status
