"""What a store must refuse, with S3's own error: strictly the embedded store, and the real ones for the measure."""
import base64
import json

import pytest
import requests

import corpus
from support.process import wait_for
from support.upload import DRIVERS, boto3_style, by_hand, with_fields

IMAGE = corpus.good()["420.jpg"]


def wider(presign: dict) -> dict:
    policy = json.loads(base64.b64decode(presign["fields"]["policy"]))
    for condition in policy["conditions"]:
        if isinstance(condition, list) and condition[0] == "content-length-range":
            condition[2] *= 100
    return with_fields(presign, policy=base64.b64encode(json.dumps(policy).encode()).decode())


def other_user(presign: dict) -> dict:
    credential = presign["fields"]["x-amz-credential"]
    return with_fields(presign, x__amz__credential="NOBODY/" + credential.split("/", 1)[1])


# name: (what is done to the presign, statuses, codes of S3)
TAMPERED = {
    "policy": (wider, {403}, {"SignatureDoesNotMatch"}),
    "signature": (lambda p: with_fields(p, x__amz__signature="0" * 64), {403}, {"SignatureDoesNotMatch"}),
    "date": (lambda p: with_fields(p, x__amz__date="20200101T000000Z"), {403}, {"AccessDenied", "SignatureDoesNotMatch"}),
    "key": (lambda p: with_fields(p, key="temp/another.jpg"), {403}, {"AccessDenied"}),
    "key-of-a-variant": (lambda p: with_fields(p, key="image/another.jpg"), {403}, {"AccessDenied"}),
    "type": (lambda p: with_fields(p, Content__Type="text/plain"), {403}, {"AccessDenied"}),
    "metadata": (lambda p: with_fields(p, x__amz__meta__id="54321"), {403}, {"AccessDenied"}),
    "acl": (lambda p: with_fields(p, acl="public-read"), {403}, {"AccessDenied"}),
    "added-metadata": (lambda p: with_fields(p, x__amz__meta__evil="1"), {403}, {"AccessDenied"}),
    "no-metadata": (lambda p: with_fields(p, x__amz__meta__id=None), {403}, {"AccessDenied"}),
    "no-acl": (lambda p: with_fields(p, acl=None), {403}, {"AccessDenied"}),
    "no-type": (lambda p: with_fields(p, Content__Type=None), {403}, {"AccessDenied"}),
    "no-key": (lambda p: with_fields(p, key=None), {400}, {"InvalidArgument", "InvalidRequest"}),
    "no-policy": (lambda p: with_fields(p, policy=None), {400, 403}, {"AccessDenied", "InvalidArgument", "SignatureDoesNotMatch"}),
    "no-signature": (lambda p: with_fields(p, x__amz__signature=None), {400, 403}, {"AccessDenied", "InvalidArgument", "SignatureDoesNotMatch"}),
    "nothing-signed": (lambda p: {**p, "fields": {k: p["fields"][k] for k in ("key", "Content-Type")}}, {403}, {"AccessDenied"}),
    "access-key": (other_user, {403}, {"InvalidAccessKeyId"}),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("what", TAMPERED)
def test_tampered_form_is_refused(deployment, what, driver):
    change, statuses, codes = TAMPERED[what]
    created = deployment.create(metadata={"id": "12345"}, filename="a.jpg")
    answer = DRIVERS[driver](change(created["presign"]), IMAGE)
    if deployment.at.name == "embedded":
        assert (answer.status in statuses, answer.code in codes) == (True, True), (answer.status, answer.text)
    else:  # the peers refuse too, each in words of its own
        assert answer.status in (400, 403) and answer.code, (answer.status, answer.text)
    assert deployment.status(created["id"])["status"] == "pending"
    assert boto3_style(created["presign"], IMAGE).status == 204  # the same form untouched is good


def test_oversized_file_is_refused(serve):
    server = serve(env={"TINTYPE_UPLOAD__MAX_BYTES": "5000"})
    created = server.create()
    for data, status, code in ((b"x" * 5001, 400, "EntityTooLarge"), (b"x" * 3_000_000, 400, "EntityTooLarge"), (b"x" * 5000, 204, None)):
        answer = boto3_style(created["presign"], data)
        assert (answer.status, answer.code) == (status, code), len(data)
    declared = server.call("POST", "/v1/uploads", json={"size": 5001})
    assert declared.status_code in (400, 413, 422) and declared.json()["code"] == "too_large"


def test_expired_credential_is_refused(serve):
    server = serve(env={"TINTYPE_UPLOAD__EXPIRES": "1s"})
    created = server.create()
    refused = wait_for("expiry", lambda: (a := by_hand(created["presign"], b"")) and a.status == 403 and a, 10, 0.3)
    assert refused.code == "AccessDenied" and "expired" in refused.text.lower()
    wait_for("status expired", lambda: server.status(created["id"])["status"] == "expired", 30, 0.3)


def test_form_without_a_file_is_refused(embedded):
    presign = embedded.create()["presign"]
    got = requests.post(presign["url"], files={k: (None, v) for k, v in presign["fields"].items()}, timeout=30)
    assert got.status_code == 400 and "<Code>" in got.text


def test_image_is_public_and_temp_is_nobodys(embedded):
    created = embedded.create(filename="a.jpg")
    assert boto3_style(created["presign"], IMAGE).status == 204
    upload = embedded.finish(created["id"])
    assert requests.get(upload["manifest"]["variants"][0]["url"]).status_code == 200
    for method in ("GET", "PUT", "DELETE"):
        got = requests.request(method, f"{embedded.store}/tintype/{created['presign']['fields']['key']}", data=b"x" if method == "PUT" else None)
        assert got.status_code == 403 and "<Code>AccessDenied</Code>" in got.text, method
    for method in ("PUT", "DELETE"):
        assert requests.request(method, upload["manifest"]["variants"][0]["url"], data=b"x").status_code == 403, method
    assert requests.get(f"{embedded.store}/tintype?list-type=2").status_code == 403
    assert requests.get(f"{embedded.store}/tintype/image/none.jpg").status_code in (403, 404)


def test_browsers_may_upload(embedded):
    """CORS: the demo page and anyone's front end send the form from another origin."""
    presign = embedded.create()["presign"]
    got = requests.options(presign["url"], headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
    assert got.status_code in (200, 204) and got.headers["access-control-allow-origin"] in ("*", "https://app.example")
