"""Presigning without a server: a form that puts one object at one key, held to what Tintype's own forms are held to."""
import re
from functools import lru_cache
from typing import Any

from django.conf import settings

from . import conf
from .server import Refused

MOST_METADATA = 2048  # bytes, S3's limit


def client() -> Any:
    # The first is the name of what this replaces, the second everybody else's.
    secret = getattr(settings, "AWS_ACCESS_KEY_SECRET", None) or getattr(settings, "AWS_SECRET_ACCESS_KEY", None)
    return _client(conf.get("REGION") or None, conf.get("ENDPOINT") or None, getattr(settings, "AWS_ACCESS_KEY_ID", None), secret,
                   getattr(settings, "AWS_SESSION_TOKEN", None))


@lru_cache(8)
def _client(region: str | None, endpoint: str | None, key: str | None, secret: str | None, token: str | None) -> Any:
    """Making one takes longer than a hundred signatures; threads may share it."""
    import boto3
    from botocore.client import Config
    return boto3.session.Session().client(
        "s3", region_name=region, endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path" if endpoint else "virtual"}))


def presign(key: str, content_type: str, size: int | None, metadata: dict[str, str]) -> dict[str, Any]:
    """`{"url", "fields"}`, the fields in the order in which they are best sent."""
    fields = {"acl": conf.get("ACL"), "Content-Type": content_type or "image/*",
              **{f"x-amz-meta-{name}": value for name, value in metadata.items()}}
    if not fields["acl"]:
        del fields["acl"]
    conditions: list[Any] = [["starts-with", "$Content-Type", "image/"] if name == "Content-Type" else {name: value}
                             for name, value in fields.items()]
    most = conf.get("PRESIGNED_URL_CONTENT_LENGTH")
    conditions.append(["content-length-range", size or 1, size or most])
    made = client().generate_presigned_post(conf.bucket(), key, dict(fields), conditions,
                                            ExpiresIn=conf.get("PRESIGNED_URL_EXPIRATION"))
    first = {"key": made["fields"].pop("key")}
    return {"url": made["url"], "fields": {**first, **made["fields"]}}


def check_metadata(given: dict[str, Any]) -> dict[str, str]:
    """As they go over the wire, in headers: what cannot is refused, as Tintype's API does."""
    metadata: dict[str, str] = {}
    for name, value in given.items():
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name):
            raise Refused(400, "invalid_request", "names in metadata are of letters, digits, - and _")
        if not isinstance(value, (str, int, float, bool)):
            raise Refused(400, "invalid_request", f"metadata {name} must be a text, a number or a boolean")
        text = value if isinstance(value, str) else str(value).lower()
        if not re.fullmatch(r"(?:[!-~](?:[ -~]*[!-~])?)?", text):
            raise Refused(400, "invalid_request", f"metadata {name} must be printable ASCII without spaces at its ends")
        if name.lower() in metadata:
            raise Refused(400, "invalid_request", f"metadata has {name} twice: case does not count")
        metadata[name.lower()] = text
    if sum(len(name) + len(value) for name, value in metadata.items()) > MOST_METADATA:
        raise Refused(400, "invalid_request", f"metadata may have {MOST_METADATA} bytes")
    return metadata
