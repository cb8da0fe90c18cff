"""Settings, looked up whenever they are needed. Names that begin with ASYNC_IMAGE_UPLOAD_ are given without that."""
import os
from typing import Any

from django.conf import settings

DEFAULTS: dict[str, Any] = {
    # One of these two: a Tintype server that presigns, or a bucket that this project presigns for by itself.
    "SERVER": "",
    "BUCKET": "",
    # With a server.
    "API_KEY": "",
    "CLAIM": False,
    # With a bucket.
    "REGION": "",
    "ENDPOINT": "",
    "ACL": "bucket-owner-full-control",
    "TEMPORARY_IMAGE_PATH": "temp/",
    "PRESIGNED_URL_EXPIRATION": 1000,
    "PRESIGNED_URL_CONTENT_LENGTH": 10 * 1024 * 1024,
    # With either.
    "PRESIGNED_URL_REUSE_WINDOW": None,
    "PERMISSION": "django_tintype.permissions.authenticated",
    "CALLBACK_SECRETS": None,
    "UNSIGNED_CALLBACKS": False,
    "PUBLIC_URL": "",
}


def get(name: str) -> Any:
    return getattr(settings, f"ASYNC_IMAGE_UPLOAD_{name}", DEFAULTS[name])


def server() -> str:
    return str(get("SERVER") or "").rstrip("/")


def bucket() -> str:
    return str(get("BUCKET") or "")


def callback_secrets() -> list[str]:
    """Newest first. Without the setting, the variable by which Tintype itself is told its secret."""
    given = get("CALLBACK_SECRETS")
    if given is None:
        given = os.environ.get("TINTYPE_CALLBACK__SECRET", "")
    return [given] if isinstance(given, str) and given else list(given)


def public_url() -> str:
    """Where variants are whose address nobody told: those of the seed's Lambda. Ends in a slash, or is empty."""
    if url := get("PUBLIC_URL"):
        return str(url).rstrip("/") + "/"
    if not bucket():
        return ""
    if endpoint := get("ENDPOINT"):
        return f"{str(endpoint).rstrip('/')}/{bucket()}/"
    region = get("REGION") or os.environ.get("AWS_REGION") or "us-east-1"
    return f"https://{bucket()}.s3.{region}.amazonaws.com/"
