"""What is kept is what was sent: checksums, entity tags, conditions, and bytes that rot."""
import base64
import hashlib

import pytest
from botocore.exceptions import ClientError, FlexibleChecksumError

import corpus
from support.process import wait_for
from support.store_files import blob, rot
from support.upload import boto3_style

IMAGE = corpus.good()["420.jpg"]


def refused(call, code: str) -> bool:
    with pytest.raises(ClientError) as error:
        call()
    return error.value.response["Error"]["Code"] == code


# --- checksums ---

@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_checksum_of_the_client_is_held_against_the_bytes(embedded, algorithm):
    s3, name = embedded.at.s3, f"Checksum{algorithm}"
    put = lambda **more: s3.put_object(Bucket="tintype", Key="temp/summed.bin", Body=IMAGE, **more)
    put(ChecksumAlgorithm=algorithm)
    wrong = {"CRC32": "AAAAAA==", "SHA1": "A" * 27 + "=", "SHA256": "A" * 43 + "="}[algorithm]
    assert refused(lambda: put(**{name: wrong}), "BadDigest")
    s3.delete_object(Bucket="tintype", Key="temp/summed.bin")


def test_what_is_read_carries_its_sha256(serve):
    """boto3 holds it against what came: damage on disk is seen by the client too."""
    server = serve()
    s3 = server.at.s3
    s3.put_object(Bucket="tintype", Key="temp/a.bin", Body=IMAGE)
    sha256 = base64.b64encode(hashlib.sha256(IMAGE).digest()).decode()
    head = s3.head_object(Bucket="tintype", Key="temp/a.bin", ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (sha256, "FULL_OBJECT")
    got = s3.get_object(Bucket="tintype", Key="temp/a.bin", ChecksumMode="ENABLED")
    assert got["ChecksumSHA256"] == sha256 and got["Body"].read() == IMAGE
    rot(blob(server, "temp/a.bin"))
    with pytest.raises(FlexibleChecksumError):
        s3.get_object(Bucket="tintype", Key="temp/a.bin", ChecksumMode="ENABLED")["Body"].read()


# --- entity tags and conditions, as S3 has them ---

def test_etag_is_the_md5_and_conditions_hold(embedded):
    s3, key = embedded.at.s3, "temp/conditions.bin"
    put = lambda body=IMAGE, **more: s3.put_object(Bucket="tintype", Key=key, Body=body, **more)
    get = lambda **more: s3.get_object(Bucket="tintype", Key=key, **more)
    head = lambda **more: s3.head_object(Bucket="tintype", Key=key, **more)
    s3.delete_object(Bucket="tintype", Key=key)
    assert refused(lambda: put(IfMatch='"0"'), "NoSuchKey")
    etag = put(IfNoneMatch="*")["ETag"]
    assert etag == f'"{hashlib.md5(IMAGE).hexdigest()}"' == head()["ETag"]
    assert refused(lambda: put(IfNoneMatch="*"), "PreconditionFailed")
    assert refused(lambda: put(IfMatch='"0"'), "PreconditionFailed")
    second = put(b"second", IfMatch=etag)["ETag"]
    for read in (get, head):
        assert refused(lambda: read(IfMatch=etag), "PreconditionFailed" if read is get else "412")
        assert refused(lambda: read(IfNoneMatch=second), "304")
        modified = read(IfMatch=second, IfNoneMatch=etag)["LastModified"]
        assert refused(lambda: read(IfModifiedSince=modified), "304")
        assert refused(lambda: read(IfUnmodifiedSince=modified.replace(year=2001)), "PreconditionFailed" if read is get else "412")
        read(IfUnmodifiedSince=modified)
    assert get()["Body"].read() == b"second"
    s3.delete_object(Bucket="tintype", Key=key)


# --- bytes that rot ---

def test_an_original_that_rots_fails_with_its_own_code_and_is_taken_up_once_it_is_whole(serve, receiver):
    """The worker reads other bytes than were sent: it tries again, gives up with a code, and a retry mends all."""
    server = serve(env={"TINTYPE_QUEUE__ATTEMPTS": "2"})
    created = server.create(filename="a.jpg")
    assert boto3_style(created["presign"], IMAGE, "a.jpg").status == 204
    assert server.finish(created["id"])["status"] == "completed"
    file = blob(server, f"temp/{created['id']}.jpg")
    rot(file)
    assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
    ended = wait_for("its end", lambda: (u := server.status(created["id"], wait=5))["status"] == "failed" and u)
    assert ended["error"]["code"] == "corrupt_storage" and "SHA-256" in ended["error"]["message"]
    assert receiver.wait(created["id"])
    rot(file)  # the same bit again
    assert server.call("POST", f"/v1/uploads/{created['id']}/retry").status_code == 202
    wait_for("completed", lambda: server.status(created["id"], wait=5)["status"] == "completed")
