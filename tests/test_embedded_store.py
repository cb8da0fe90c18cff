"""The embedded store in the hands of real S3 clients: boto3 and the aws command."""
import datetime
import subprocess

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

import corpus
from support import s3
from support.process import REPO
from support.upload import by_hand

IMAGE = corpus.good()["420.jpg"]
EXTRA = {"ContentType": "image/jpeg", "Metadata": {"id": "12345"}}


@pytest.fixture
def client(embedded):
    return embedded.at.s3


def test_boto3_puts_gets_lists_and_deletes(client):
    keys = [f"temp/boto3/{n:02}.bin" for n in range(5)]
    for key in keys:
        client.put_object(Bucket="tintype", Key=key, Body=IMAGE, **EXTRA)
    head = client.head_object(Bucket="tintype", Key=keys[0])
    assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (len(IMAGE), "image/jpeg", {"id": "12345"})
    assert client.get_object(Bucket="tintype", Key=keys[0])["Body"].read() == IMAGE
    part = client.get_object(Bucket="tintype", Key=keys[0], Range="bytes=10-19")
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206 and part["Body"].read() == IMAGE[10:20]
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket="tintype", Prefix="temp/boto3/", PaginationConfig={"PageSize": 2})
    assert [o["Key"] for page in pages for o in page["Contents"]] == keys
    client.delete_object(Bucket="tintype", Key=keys[0])
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="tintype", Key=keys[0])
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.put_object(Bucket="another", Key="a", Body=b"")


@pytest.mark.parametrize("known", [{"If-None-Match": "ETag"}, {"If-Modified-Since": "Last-Modified"}], ids=lambda known: [*known][0])
def test_what_a_browser_keeps_stays_an_image(client, known):
    """A browser takes the headers of a 304 for those of its copy, and blocks an image that they call XML."""
    client.put_object(Bucket="tintype", Key="image/kept.jpg", Body=IMAGE, **EXTRA)
    url = client.generate_presigned_url("get_object", {"Bucket": "tintype", "Key": "image/kept.jpg"})
    first = requests.get(url, timeout=10)
    again = requests.get(url, headers={name: first.headers[theirs] for name, theirs in known.items()}, timeout=10)
    assert again.status_code == 304 and again.content == b""
    assert again.headers.get("Content-Type", "image/jpeg") == "image/jpeg" and "Content-Length" not in again.headers


@pytest.mark.parametrize("key", ["temp/a b.jpg", "temp/a+b%2Fc.jpg", "temp/é/日本.jpg", "temp/a&b=c;d'\"<x>.jpg"])
def test_any_key_comes_back_as_it_went_in(client, key):
    client.put_object(Bucket="tintype", Key=key, Body=b"x")
    assert key in [o["Key"] for o in client.list_objects_v2(Bucket="tintype", Prefix="temp/")["Contents"]]
    assert client.get_object(Bucket="tintype", Key=key)["Body"].read() == b"x"


@pytest.mark.parametrize("key", ["../outside", "temp/../../outside", "/etc/outside", "temp//x", "temp/./x", "a\\..\\b", "a" * 1024])
def test_no_key_leaves_the_store(embedded, client, key):
    """Odd keys are stored or refused; none becomes a path outside the data directory."""
    try:
        client.put_object(Bucket="tintype", Key=key, Body=b"outside?")
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    strangers = [p for p in embedded.home.rglob("outside") if (embedded.home / "data") not in p.parents]
    assert strangers == [] and not (embedded.home.parent / "outside").exists()


def test_presigned_urls_work_and_expire_with_their_signature(client):
    key = "temp/presigned.jpg"
    put = client.generate_presigned_url("put_object", {"Bucket": "tintype", "Key": key, "ContentType": "image/jpeg"}, 600)
    assert requests.put(put, data=IMAGE, headers={"Content-Type": "image/jpeg"}).status_code == 200
    get = client.generate_presigned_url("get_object", {"Bucket": "tintype", "Key": key}, 600)
    assert requests.get(get).content == IMAGE
    assert requests.get(get[:-4] + "0000").status_code == 403
    assert requests.get(get.replace("presigned.jpg", "other.jpg")).status_code == 403


def test_wrong_secret_is_refused(embedded):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.client(embedded.store, s3.ACCESS_KEY, "wrong").list_objects_v2(Bucket="tintype")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        s3.client(embedded.store, "NOBODY", "wrong").list_objects_v2(Bucket="tintype")


def test_aws_command_copies_in_and_out(embedded, tmp_path):
    (tmp_path / "in.jpg").write_bytes(IMAGE)
    env = {"PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY,
           "AWS_DEFAULT_REGION": s3.REGION, "HOME": str(tmp_path)}
    for pair in (("in.jpg", "s3://tintype/temp/cli.jpg"), ("s3://tintype/temp/cli.jpg", "out.jpg")):
        subprocess.run([REPO / ".peers/venv/bin/aws", "--endpoint-url", embedded.store, "s3", "cp", "--quiet", *pair],
                       cwd=tmp_path, env=env, check=True, timeout=60)
    assert (tmp_path / "out.jpg").read_bytes() == IMAGE


@pytest.mark.parametrize("field, value, status", [
    ("success_action_status", "200", 200), ("success_action_status", "201", 201), ("success_action_status", "204", 204),
    ("success_action_status", "418", 204), ("success_action_redirect", "http://127.0.0.1:1/done", 303)])
def test_post_is_answered_as_its_form_asks(client, field, value, status):
    key = f"temp/{field}-{status}.jpg"
    presign = client.generate_presigned_post("tintype", key, Fields={field: value}, Conditions=[{field: value}])
    answer = by_hand(presign, IMAGE)
    assert answer.status == status, answer.text
    if status == 201:
        assert "<PostResponse" in answer.text and f"<Key>{key}</Key>" in answer.text
    if status == 303:
        assert answer.headers["location"].startswith(value + "?") and "bucket=tintype" in answer.headers["location"]


def test_old_signature_within_its_lifetime_is_good(client, monkeypatch):
    """A form signed twenty minutes ago for an hour: the clock skew rule of headers is not for policies."""
    import botocore.auth
    import botocore.signers
    now = botocore.auth.get_current_datetime
    for module in (botocore.auth, botocore.signers):
        monkeypatch.setattr(module, "get_current_datetime", lambda *a, **k: now(*a, **k) - datetime.timedelta(minutes=20))
    presign = client.generate_presigned_post("tintype", "temp/old.jpg", ExpiresIn=3600)
    monkeypatch.undo()
    assert by_hand(presign, IMAGE).status == 204


def test_old_header_and_old_version_of_signature_are_refused(client, embedded, monkeypatch):
    import botocore.auth
    from botocore.client import Config
    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *a, **k: now(*a, **k) - datetime.timedelta(minutes=16))
    with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
        client.list_objects_v2(Bucket="tintype")
    monkeypatch.undo()
    client.put_object(Bucket="tintype", Key="temp/v2.jpg", Body=IMAGE)
    old = boto3.client("s3", endpoint_url=embedded.store, region_name=s3.REGION, aws_access_key_id=s3.ACCESS_KEY,
                       aws_secret_access_key=s3.SECRET_KEY, config=Config(signature_version="s3", s3={"addressing_style": "path"}))
    url = old.generate_presigned_url("get_object", {"Bucket": "tintype", "Key": "temp/v2.jpg"}, 600)
    assert "Signature=" in url and requests.get(url, timeout=30).status_code in (400, 403)


def test_wrong_digest_is_refused_and_nothing_kept(client):
    with pytest.raises(ClientError, match="BadDigest"):
        client.put_object(Bucket="tintype", Key="temp/digest.jpg", Body=IMAGE, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="tintype", Key="temp/digest.jpg")
