"""The presigned POST, held against boto3's for the same clock, key and conditions."""
import base64
import datetime
import json

import botocore.auth
import botocore.signers
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support import s3
from support.process import free_port

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzE+session/token=="
BY_BOTO3 = {"bucket", "key", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token"}


@pytest.fixture(scope="module", params=[None, TOKEN], ids=["long-lived-key", "session-token"])
def credentials(request):
    return request.param


@pytest.fixture(scope="module")
def server(credentials, tmp_path_factory):
    from support.tintype import Server
    env = s3.tintype_env(f"http://127.0.0.1:{free_port()}", "photos")  # nobody listens there: signing needs no store
    env |= {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
    env |= {"AWS_SESSION_TOKEN": credentials} if credentials else {}
    server = Server(tmp_path_factory.mktemp("presign"), env=env, ready="/healthz")
    yield server
    server.stop()


REQUESTS = {
    "bare": {},
    "named": {"filename": "Corgi.JPG"},
    "with-metadata": {"filename": "a.png", "metadata": {"id": "12345", "owner": "user 7"}},
    "exact-type": {"filename": "a.webp", "content_type": "image/webp", "metadata": {"id": "1"}},
}


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
def test_form_is_the_one_boto3_makes(server, credentials, body, monkeypatch):
    upload = server.create(**body)
    presign, fields = upload["presign"], upload["presign"]["fields"]
    policy = json.loads(base64.b64decode(fields["policy"]))
    clock = datetime.datetime.strptime(fields["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)

    for module in (botocore.auth, botocore.signers):
        monkeypatch.setattr(module, "get_current_datetime", lambda *a, **k: clock)
    signed = {"policy", "x-amz-signature"} | BY_BOTO3
    ours = [c for c in policy["conditions"] if not (isinstance(c, dict) and set(c) <= BY_BOTO3)]
    theirs = s3.client(server.env["TINTYPE_STORE__ENDPOINT"], ACCESS, SECRET, token=credentials).generate_presigned_post(
        "photos", fields["key"], Fields={k: v for k, v in fields.items() if k not in signed}, Conditions=ours, ExpiresIn=1000)

    assert presign["method"] == "POST" and presign["url"] == theirs["url"]
    assert set(fields) == set(theirs["fields"])
    assert {k: v for k, v in fields.items() if k not in ("policy", "x-amz-signature")} == \
        {k: v for k, v in theirs["fields"].items() if k not in ("policy", "x-amz-signature")}
    expected = json.loads(base64.b64decode(theirs["fields"]["policy"]))
    in_any_order = lambda p: sorted(json.dumps(c) for c in p["conditions"])
    assert policy["expiration"].replace(".000Z", "Z") == expected["expiration"]
    assert set(policy) == set(expected) and in_any_order(policy) == in_any_order(expected)
    assert fields["x-amz-signature"] == botocore_signature(fields, credentials)


def botocore_signature(fields: dict, token: str | None) -> str:
    """botocore's own key derivation, over the bytes of our policy."""
    auth = botocore.auth.S3SigV4PostAuth(Credentials(ACCESS, SECRET, token), "s3", s3.REGION)
    request = AWSRequest()
    request.context["timestamp"] = fields["x-amz-date"]
    return auth.signature(fields["policy"], request)


def test_form_carries_what_the_contract_says(server, credentials):
    upload = server.create(filename="Corgi.JPG", metadata={"id": "12345"})
    fields = upload["presign"]["fields"]
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert len(upload["id"]) == 32 and int(upload["id"], 16)
    assert fields["key"].lower() == f"temp/{upload['id']}.jpg"
    assert fields["acl"] == "bucket-owner-full-control" and fields["Content-Type"] == "image/*"
    assert fields["x-amz-meta-id"] == "12345"
    assert fields.get("x-amz-security-token") == credentials
    assert ["starts-with", "$Content-Type", "image/"] in policy["conditions"]
    assert [c[2] for c in policy["conditions"] if isinstance(c, list) and c[0] == "content-length-range"] == [10485760]


def test_exact_type_is_pinned(server):
    upload = server.create(content_type="image/png")
    assert upload["presign"]["fields"]["Content-Type"] == "image/png"
    assert upload["variants"] and all(v["key"].endswith(".png") for v in upload["variants"])
