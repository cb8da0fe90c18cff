"""For your code, and behind the URLs: ask for uploads, claim one, have one done again, or away. Each with an `a…` for async code."""
import json
import logging
import mimetypes
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from . import conf, s3, server
from .models import AbstractProcessedImage, Status, get_image_model
from .server import NOT_NOW, Refused

MOST_AT_ONCE = 100
SOON = 5  # seconds, while somebody waits for a page
log = logging.getLogger(__name__)
User = AbstractBaseUser | AnonymousUser | None


@dataclass(frozen=True)
class NewUpload:
    """What is known of a file before it comes; all of it may be left out."""
    metadata: dict[str, Any] = field(default_factory=dict)
    filename: str = ""
    content_type: str = ""
    size: int | None = None
    preset: str = ""


def create(wanted: Sequence[NewUpload] = (NewUpload(),), user: User = None) -> list[AbstractProcessedImage]:
    """An image each, pending, with the `credential` that its client needs. All or none.

    Raises `Refused`, whose `detail` may be shown.
    """
    if not 1 <= len(wanted) <= MOST_AT_ONCE:
        raise Refused(400, "invalid_request", f"1 to {MOST_AT_ONCE} uploads at once")
    owner = user if user is not None and user.is_authenticated else None
    metadata = [s3.check_metadata(one.metadata) for one in wanted]
    if len(wanted) == 1 and (known := _reusable(owner, wanted[0], metadata[0])):
        return [known]
    images = _by_server(wanted, metadata) if conf.server() else _by_ourselves(wanted, metadata)
    for image in images:
        image.user_id = owner.pk if owner else None
    return get_image_model()._default_manager.bulk_create(images)


def uploaded(image: AbstractProcessedImage, timeout: float = SOON) -> dict[str, Any]:
    """Tells the server that the file is in the store: not every store does. The server's answer; without a server, nothing is done.

    Raises `Refused`: 409 `original_missing` if the store has no file.
    """
    told = server.call("POST", f"/v1/uploads/{image.uuid.hex}/uploaded", timeout=timeout) if conf.server() else {}
    return told if isinstance(told, dict) else {}


def claim(image: AbstractProcessedImage) -> None:
    """Tells the server that your project keeps it; as often as you like. Where `upload.claim_within` is set, what is not claimed goes.

    Raises `Refused`: 409 if it is gone, 503 if the server is out of reach; then claim again.
    """
    server.call("POST", f"/v1/uploads/{image.uuid.hex}/claim")


def retry(image: AbstractProcessedImage) -> None:
    """Has the server develop the original again. What comes of it comes as a callback."""
    server.call("POST", f"/v1/uploads/{image.uuid.hex}/retry")


def erase(image: AbstractProcessedImage) -> None:
    """Has the server remove the original and every variant, and then the row. `image.delete()` removes the row alone."""
    try:
        server.call("DELETE", f"/v1/uploads/{image.uuid.hex}")
    except Refused as why:
        if why.status != 404:
            raise
    image.delete()


acreate = sync_to_async(create)
auploaded = sync_to_async(uploaded)
aclaim = sync_to_async(claim)
aretry = sync_to_async(retry)
aerase = sync_to_async(erase)


def parse(body: Any) -> list[NewUpload]:
    """The body of a POST: an object, or a list of them."""
    return [_parse_one(one) for one in (body if isinstance(body, list) else [body])]


def _parse_one(body: Any) -> NewUpload:
    if not isinstance(body, dict):
        raise Refused(400, "invalid_request", 'send an object such as {"metadata": {}}, or a list of them')
    metadata = body.get("metadata")
    if not isinstance(metadata, (dict, type(None))):
        raise Refused(400, "invalid_request", "metadata must be an object")
    texts = {}
    for name in ("filename", "content_type", "preset"):
        texts[name] = body.get(name) or ""
        if not isinstance(texts[name], str) or len(texts[name]) > 255:
            raise Refused(400, "invalid_request", f"{name} must be a text of at most 255 characters")
    size = body.get("size")
    if size == 0 and not isinstance(size, bool):
        raise Refused(400, "invalid_request", "the file is empty")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise Refused(400, "invalid_request", "size must be a number of bytes")
    return NewUpload(metadata or {}, size=size, **texts)


def _reusable(owner: AbstractBaseUser | None, wanted: NewUpload, metadata: dict[str, str]) -> AbstractProcessedImage | None:
    """With ASYNC_IMAGE_UPLOAD_PRESIGNED_URL_REUSE_WINDOW: the user's pending one of the same metadata with so many seconds left."""
    window = conf.get("PRESIGNED_URL_REUSE_WINDOW")
    if window is None or owner is None or wanted != NewUpload(wanted.metadata):
        return None
    pending = get_image_model()._default_manager.filter(
        user_id=owner.pk, outcome=Status.PENDING, credential__isnull=False,
        timestamp_expire__gt=timezone.now() + timedelta(seconds=window))
    return next((image for image in pending[:20] if image.metadata == metadata), None)


def _by_server(wanted: Sequence[NewUpload], metadata: list[dict[str, str]]) -> list[AbstractProcessedImage]:
    asked = []
    for one, told in zip(wanted, metadata, strict=True):
        known = {"filename": one.filename, "content_type": one.content_type, "size": one.size, "preset": one.preset}
        asked.append({"metadata": told, **{name: value for name, value in known.items() if value}})
    answered = server.call("POST", "/v1/uploads", asked)
    try:
        return [_pending(uuid.UUID(one["id"]), _credential(one["presign"]), told, parse_datetime(one["presign"]["expires_at"]))
                for one, told in zip(answered, metadata, strict=True)]
    except (KeyError, TypeError, ValueError) as error:
        log.error("ASYNC_IMAGE_UPLOAD_SERVER is no Tintype, or of another version: %r", error)
        raise Refused(502, "unavailable", NOT_NOW) from None


def _credential(presign: dict[str, Any]) -> dict[str, Any]:
    """What clients have always read; more of it only where the store takes no forms (`upload.method = "PUT"`)."""
    form = {"url": presign["url"], "fields": presign["fields"]}
    return form if presign["method"] == "POST" else {**form, "method": presign["method"], "headers": presign["headers"]}


def _by_ourselves(wanted: Sequence[NewUpload], metadata: list[dict[str, str]]) -> list[AbstractProcessedImage]:
    from botocore.exceptions import BotoCoreError, ClientError
    now = timezone.now()
    expires = now + timedelta(seconds=conf.get("PRESIGNED_URL_EXPIRATION"))
    images = []
    for one, told in zip(wanted, metadata, strict=True):
        _check_alone(one)
        name = uuid.uuid4()
        key = f"{conf.get('TEMPORARY_IMAGE_PATH')}{name.hex}{_extension(one.filename)}"
        try:
            images.append(_pending(name, s3.presign(key, one.content_type, one.size, told), told, expires))
        except (BotoCoreError, ClientError) as error:
            log.error("presigning for ASYNC_IMAGE_UPLOAD_BUCKET: %s", error)
            raise Refused(502, "unavailable", NOT_NOW) from None
    return images


def _check_alone(wanted: NewUpload) -> None:
    """What a server would look at, had we one."""
    if wanted.preset:
        raise Refused(400, "invalid_request", "preset needs a Tintype server (ASYNC_IMAGE_UPLOAD_SERVER)")
    if (known := mimetypes.guess_type(wanted.filename)[0]) and not known.startswith("image/"):
        raise Refused(422, "unsupported_format", f"{_extension(wanted.filename)} is not an image format")
    if wanted.content_type and not re.fullmatch(r"image/[A-Za-z0-9.+*-]{1,100}", wanted.content_type):
        if wanted.content_type.lower().startswith("image/"):
            raise Refused(400, "invalid_request", "write content_type as image/png, or leave it out")
        raise Refused(422, "unsupported_format", f"a file of type {json.dumps(wanted.content_type)} is not an image")
    if wanted.size and wanted.size > conf.get("PRESIGNED_URL_CONTENT_LENGTH"):
        raise Refused(413, "too_large", f"at most {conf.get('PRESIGNED_URL_CONTENT_LENGTH')} bytes")


def _extension(filename: str) -> str:
    found = re.search(r"\.([A-Za-z0-9]{1,10})$", filename)
    return f".{found[1].lower()}" if found else ""


def _pending(name: uuid.UUID, credential: dict[str, Any], metadata: dict[str, str],
             expires: datetime | None) -> AbstractProcessedImage:
    return get_image_model()(uuid=name, credential=credential, metadata=metadata, timestamp_expire=expires)
