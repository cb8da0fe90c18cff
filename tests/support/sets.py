"""Whether what a manifest says is what the store holds: every set is read whole, and hashed."""
import hashlib
import json

from botocore.exceptions import ClientError


def read(bucket, key: str) -> bytes | None:
    try:
        return bucket.s3.get_object(Bucket=bucket.bucket, Key=key)["Body"].read()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchKey", error
        return None


def manifest(bucket, key: str) -> dict | None:
    """The manifest of an original's variants; `key` is that of the variant `original`."""
    data = read(bucket, key + ".manifest.json")
    return data and json.loads(data)


def foreign(bucket, manifest: dict) -> list[str]:
    """The variants that are not the manifest's."""
    found = {v["key"]: read(bucket, v["key"]) for v in manifest["variants"]}
    return [v["key"] for v in manifest["variants"]
            if found[v["key"]] is None or hashlib.sha256(found[v["key"]]).hexdigest() != v["sha256"]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
