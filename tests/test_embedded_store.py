"""The embedded store in the hands of real S3 clients: boto3 and the aws command."""
import datetime
import hashlib
import itertools
import subprocess

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
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


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("text", ["a  b", "a b   c", "=?utf-8?q?x?=", "=?UTF-8?B?aGk=?=", "=?utf-8?q?x?= =?utf-8?q?y?=", "=?x?=", "=??="])
def test_metadata_is_kept_as_it_was_given(embedded, receiver, text, method):
    created = embedded.create(filename="a.jpg", method=method, metadata={"t": text})
    presign = created["presign"]
    if method == "POST":
        assert by_hand(presign, IMAGE).status == 204
    else:
        assert presign["headers"]["x-amz-meta-t"] == text
        sent = requests.put(presign["url"], data=IMAGE, headers=presign["headers"], timeout=30)
        assert sent.status_code == 200, sent.text
    upload = embedded.finish(created["id"])
    variant = requests.head(upload["manifest"]["variants"][0]["url"], timeout=30)
    assert (upload["metadata"]["t"], upload["manifest"]["metadata"]["t"], variant.headers["x-amz-meta-t"]) == (text, text, text)
    assert receiver.wait(created["id"]).body["metadata"]["t"] == text


def test_a_presigned_put_is_held_to_its_metadata_and_to_its_signature(embedded):
    for given, sent in [("=?utf-8?q?x?=", "=?utf-8?q?y?="), ("=?x?=", "=?y?="), ("=?x?=", "x"), ("x", "=?x?=")]:
        presign = embedded.create(filename="a.jpg", method="PUT", metadata={"t": given})["presign"]
        changed = presign["headers"] | {"x-amz-meta-t": sent}
        assert requests.put(presign["url"], data=IMAGE, headers=changed, timeout=30).status_code == 403
        more = presign["headers"] | {"x-amz-meta-u": "=?x?="}
        assert requests.put(presign["url"], data=IMAGE, headers=more, timeout=30).status_code == 403
        bare = presign["url"].partition("?")[0]
        assert requests.put(bare, data=IMAGE, headers=presign["headers"], timeout=30).status_code == 403


def test_metadata_beyond_ascii_comes_back_encoded(client, embedded):
    """As clients send it: bytes of UTF-8, or encoded words, which boto3 signs."""
    word = "=?UTF-8?B?SGFsbMO2Y2hlbg==?="
    client.put_object(Bucket="tintype", Key="temp/word.bin", Body=IMAGE, Metadata={"t": word})
    assert client.head_object(Bucket="tintype", Key="temp/word.bin")["Metadata"] == {"t": word}
    request = AWSRequest("PUT", f"{embedded.store}/tintype/temp/utf8.bin", data=IMAGE, headers={
        "x-amz-content-sha256": hashlib.sha256(IMAGE).hexdigest(), "x-amz-meta-t": "Hallöchen"})
    SigV4Auth(Credentials(s3.ACCESS_KEY, s3.SECRET_KEY), "s3", s3.REGION).add_auth(request)
    headers = {name: value.encode() if isinstance(value, str) else value for name, value in request.headers.items()}
    assert requests.put(request.url, data=IMAGE, headers=headers, timeout=30).status_code == 200
    assert client.head_object(Bucket="tintype", Key="temp/utf8.bin")["Metadata"] == {"t": word}


# --- where S3 is more generous than HTTP, and what it keeps ---------------------------------------------------------------

BYTES = b"0123456789" * 10
KEPT = {"ContentEncoding": "gzip", "ContentDisposition": 'attachment; filename="a b.jpg"', "ContentLanguage": "de",
        "CacheControl": "max-age=5"}
EXPIRES = "Thu, 01 Dec 2033 16:00:00 GMT"
STORES = ["embedded", "seaweedfs", "ceph"]
NTH = itertools.count()


@pytest.fixture
def store(request):
    """The embedded store, or one to hold it against."""
    at = request.getfixturevalue(request.param)
    return at.at if request.param == "embedded" else at.bucket(f"as-s3-{next(NTH)}")


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_headers_of_an_object_come_back_with_it(store):
    store.s3.put_object(Bucket=store.bucket, Key="temp/headers.bin", Body=BYTES, Expires=EXPIRES, **KEPT)
    where = {"Bucket": store.bucket, "Key": "temp/headers.bin"}
    for found in (store.s3.head_object(**where), store.s3.get_object(**where), store.s3.get_object(Range="bytes=0-3", **where)):
        assert {name: found.get(name) for name in KEPT} == KEPT and found["ExpiresString"] == EXPIRES
    url = store.s3.generate_presigned_url("get_object", where | {"ResponseContentDisposition": "inline", "ResponseContentType": "text/plain"})
    told = requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=30, stream=True).headers
    assert (told["Content-Disposition"], told["Content-Type"], told["Content-Language"]) == ("inline", "text/plain", "de")
    # The next one has none of them.
    store.s3.put_object(Body=BYTES, **where)
    found = store.s3.head_object(**where)
    assert not set(KEPT) & set(found) and "ExpiresString" not in found


def test_headers_of_a_form_come_back_and_how_bytes_travel_does_not(client, embedded):
    fields = {"Content-Encoding": "gzip", "Content-Disposition": "inline", "Expires": EXPIRES}
    presign = client.generate_presigned_post("tintype", "temp/form.bin", Fields=fields, Conditions=[{name: value} for name, value in fields.items()])
    assert by_hand(presign, BYTES).status == 204
    found = client.head_object(Bucket="tintype", Key="temp/form.bin")
    assert (found["ContentEncoding"], found["ContentDisposition"], found["ExpiresString"]) == ("gzip", "inline", EXPIRES)
    # boto3 sends this in chunks with a checksum behind them, by a stream that it cannot read twice.
    client.put_object(Bucket="tintype", Key="temp/chunks.bin", Body=BYTES, ContentEncoding="br", ChecksumAlgorithm="CRC32")
    assert client.head_object(Bucket="tintype", Key="temp/chunks.bin")["ContentEncoding"] == "br"


def get(store, key: str = "temp/odd.bin", signed: bool = False, **headers) -> requests.Response:
    """By a presigned address, which covers no header but the host; or with every header signed, as boto3 does."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Accept-Encoding": "identity"}
    if not signed:
        url = store.s3.generate_presigned_url("get_object", {"Bucket": store.bucket, "Key": key})
        return requests.get(url, headers=headers, timeout=30)
    request = AWSRequest("GET", f"{store.endpoint}/{store.bucket}/{key}", headers | {"x-amz-content-sha256": hashlib.sha256().hexdigest()})
    SigV4Auth(Credentials(s3.ACCESS_KEY, s3.SECRET_KEY), "s3", s3.REGION).add_auth(request)
    assert all(name.lower() in request.headers["Authorization"] for name in headers if name != "Accept-Encoding")
    return requests.get(request.url, headers=dict(request.headers), timeout=30)


@pytest.mark.parametrize("signed", [False, True], ids=["presigned", "signed"])
@pytest.mark.parametrize("asked, status", [
    ("bytes=0-1,4-5", 200), ("bytes=9-5", 200), ("bytes=9-5,0-1", 200), ("items=0-1", 200), ("bytes=", 200), ("bytes=a-b", 200),
    ("bytes=5-9", 206), ("bytes=0-18446744073709551615", 206), ("bytes=0-99999999999999999999", 206),
    ("bytes=-18446744073709551616", 206), ("bytes=18446744073709551615-", 416), ("bytes=99999999999999999999-", 416), ("bytes=95-200", 206), ("bytes=-5", 206), ("bytes=100-", 416), ("bytes=-0", 416)])
def test_a_range_is_answered_as_s3_does(embedded, asked, status, signed):
    store = embedded.at
    store.s3.put_object(Bucket=store.bucket, Key="temp/odd.bin", Body=BYTES)
    answer = get(store, signed=signed, Range=asked)
    assert answer.status_code == status, (answer.status_code, answer.text)
    if status == 200:
        assert answer.content == BYTES and "Content-Range" not in answer.headers
    if len(asked) > len("bytes=10000000000-") and status == 206:
        assert answer.content == BYTES and answer.headers["Content-Range"] == "bytes 0-99/100"
    # Whoever changes a header that was signed, or signs with another secret, is refused first.
    assert get(store, "temp/none.bin", signed=signed, Range=asked).status_code == 404


@pytest.mark.parametrize("store", ["embedded", "seaweedfs"], indirect=True)
def test_several_ranges_are_the_whole_object_elsewhere_too(store):
    store.s3.put_object(Bucket=store.bucket, Key="temp/odd.bin", Body=BYTES)
    assert [get(store, Range=asked).status_code for asked in ("bytes=0-1,4-5", "items=0-1", "bytes=")] == [200] * 3
    whole = store.s3.get_object(Bucket=store.bucket, Key="temp/odd.bin", Range="bytes=0-1,4-5")
    assert whole["ResponseMetadata"]["HTTPStatusCode"] == 200 and whole["Body"].read() == BYTES


def test_nobody_reads_by_an_odd_header_what_they_may_not(embedded):
    store = embedded.at
    store.s3.put_object(Bucket=store.bucket, Key="temp/odd.bin", Body=BYTES)
    store.s3.put_object(Bucket=store.bucket, Key="image/odd.bin", Body=BYTES)
    odd = [{"Range": "bytes=9-5"}, {"If-None-Match": "a, b"}, {"If-Match": "x, y", "Range": "bytes=0-1,2-3"}]
    for headers in odd:
        for where in ("temp/odd.bin", "temp/", ""):
            assert requests.get(f"{store.endpoint}/{store.bucket}/{where}", headers=headers, timeout=30).status_code == 403, (where, headers)
        url = store.s3.generate_presigned_url("get_object", {"Bucket": store.bucket, "Key": "temp/odd.bin"})
        assert requests.get(url[:-4] + "0000", headers=headers, timeout=30).status_code == 403
        assert requests.get(url.replace("odd.bin", "headers.bin"), headers=headers, timeout=30).status_code == 403
        typed = requests.get(f"{store.endpoint}/{store.bucket}/image/odd.bin?response-content-type=text/html", headers=headers, timeout=30)
        assert typed.status_code == 400, typed.text
    public = requests.get(f"{store.endpoint}/{store.bucket}/image/odd.bin", headers=odd[0], timeout=30)
    assert public.status_code == 200 and public.content == BYTES


def test_an_empty_object_has_no_last_part(embedded):
    embedded.at.s3.put_object(Bucket="tintype", Key="temp/empty.bin", Body=b"")
    assert get(embedded.at, "temp/empty.bin", Range="bytes=-5").status_code == 416
    assert get(embedded.at, "temp/empty.bin").status_code == 200


@pytest.mark.parametrize("signed", [False, True], ids=["presigned", "signed"])
@pytest.mark.parametrize("name, value, status", [
    ("If-None-Match", '"x", {}', 304), ("If-None-Match", '{}, "x"', 304), ("If-None-Match", '"x","y"', 200), ("If-None-Match", "*", 304),
    ("If-None-Match", 'x, {bare}', 304), ("If-None-Match", 'W/"x", W/{}', 304), ("If-None-Match", "{bare}", 304),
    ("If-Match", '"x", {}', 200), ("If-Match", '"x","y"', 412), ("If-Match", "x, y", 412), ("If-Match", "x, {bare}", 200), ("If-Match", "*", 200),
    ("If-Match", "W/{}", 412)])
def test_a_list_of_entity_tags_holds_each(embedded, name, value, status, signed):
    store = embedded.at
    store.s3.put_object(Bucket=store.bucket, Key="temp/odd.bin", Body=BYTES)
    tag = hashlib.md5(BYTES).hexdigest()
    answer = get(store, signed=signed, **{name: value.format(f'"{tag}"', bare=tag)})
    assert answer.status_code == status, (answer.status_code, answer.text)


@pytest.mark.parametrize("store", ["embedded", "seaweedfs"], indirect=True)
def test_a_list_of_entity_tags_is_read_elsewhere_too(store):
    store.s3.put_object(Bucket=store.bucket, Key="temp/odd.bin", Body=BYTES)
    tag = f'"{hashlib.md5(BYTES).hexdigest()}"'
    answers = [get(store, **{name: value}).status_code for name, value in [
        ("If-None-Match", f'"x", {tag}'), ("If-None-Match", '"x","y"'), ("If-Match", f'"x", {tag}'), ("If-Match", '"x","y"')]]
    assert answers == [304, 200, 200, 412]


@pytest.mark.parametrize("store", STORES, indirect=True)
@pytest.mark.parametrize("quiet", [True, False])
def test_a_quiet_deletion_tells_of_errors_alone(store, quiet):
    keys = ["temp/gone-1.bin", "temp/gone-2.bin", "temp/never-there.bin", "temp//double.bin"]
    for key in keys[:2]:
        store.s3.put_object(Bucket=store.bucket, Key=key, Body=b"x")
    answer = store.s3.delete_objects(Bucket=store.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": quiet})
    assert sorted(one["Key"] for one in answer.get("Deleted", [])) == ([] if quiet else sorted(keys)) and "Errors" not in answer
    assert store.s3.list_objects_v2(Bucket=store.bucket, Prefix="temp/gone-").get("KeyCount") == 0


def test_who_signs_by_version_2_is_told_so(client, embedded):
    from botocore.client import Config
    client.put_object(Bucket="tintype", Key="temp/v2.jpg", Body=IMAGE)
    def older(secret: str, version: str):
        return boto3.client("s3", endpoint_url=embedded.store, region_name=s3.REGION, aws_access_key_id=s3.ACCESS_KEY, aws_secret_access_key=secret,
                            config=Config(signature_version=version, s3={"addressing_style": "path"}))
    by_query = [older(secret, "s3").generate_presigned_url("get_object", {"Bucket": "tintype", "Key": "temp/v2.jpg"}, lifetime)
                for secret, lifetime in [(s3.SECRET_KEY, 600), ("another", 600), (s3.SECRET_KEY, -600)]]
    form = older(s3.SECRET_KEY, "s3").generate_presigned_post("tintype", "temp/v2-form.jpg")
    answers = [requests.get(url, timeout=30) for url in [*by_query, f"{embedded.store}/tintype/image/a.jpg?AWSAccessKeyId=x&Signature=y&Expires=1"]]
    answers.append(requests.get(f"{embedded.store}/tintype/temp/v2.jpg", headers={"Authorization": "AWS x:y"}, timeout=30))
    answers.append(requests.post(form["url"], data=form["fields"], files={"file": IMAGE}, timeout=30))
    for answer in answers:
        assert answer.status_code == 400 and "<Code>InvalidRequest</Code>" in answer.text and "Signature Version 4" in answer.text, (answer.url, answer.text)
    with pytest.raises(ClientError, match="Signature Version 4"):
        older(s3.SECRET_KEY, "s3").list_objects_v2(Bucket="tintype")
