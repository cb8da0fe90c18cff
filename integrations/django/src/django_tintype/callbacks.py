"""Step 6: what a processor says came of an upload. Verified, recorded once and in order, and told by signals."""
import json
import re
import time
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from django.db import router, transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from . import conf
from .models import AbstractProcessedImage, Status, get_image_model
from .signals import image_completed, image_failed
from .signature import Proof, Unverified, verify

LONGEST_BODY = 1024 * 1024
MOST_VARIANTS = 1000


def callback(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """`PUT` or `POST`. Any answer but 2xx has Tintype try again."""
    body = request.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        return _answer(413, "too_large", f"at most {LONGEST_BODY} bytes")
    try:
        proof = _proof(request, body)
    except Unverified as why:
        return _answer(401, "unauthorized", str(why))
    try:
        told = _parse(body)
        if proof:
            if told.get("id") not in (uuid.hex, str(uuid)):
                raise ValueError("the id in the body is not the one in the address")
        else:
            _check_unsigned(told, uuid)
        found = Outcome(told)
    except (ValueError, RecursionError) as why:
        return _answer(400, "invalid_request", str(why))
    image = record(uuid, found, proof)
    if image is None:
        return _answer(404, "not_found", "there is no such upload")
    return JsonResponse({"uuid": uuid.hex, "status": image.status})


class Outcome:
    """What a body says, checked."""

    def __init__(self, told: dict[str, Any]):
        self.error: dict[str, str] | None = None
        self.manifest: dict[str, Any] | None = None
        self.processed_key = ""
        if told.get("error") is not None:
            error = told["error"]
            if not isinstance(error, dict):
                error = {"message": error if isinstance(error, str) else json.dumps(error)}
            self.error = {"code": str(error.get("code") or "processing_failed")[:100],
                          "message": str(error.get("message") or "")[:2000]}
            return
        key = told.get("processed_key")
        if not isinstance(key, str) or not 1 <= len(key) <= 1024:
            raise ValueError("send processed_key, or error")
        self.processed_key = key
        if "variants" in told:
            self.manifest = {name: told[name] for name in told if name not in ("id", "status", "processed_key")}
            _check_variants(told["variants"])


def _check_variants(variants: Any) -> None:
    if not isinstance(variants, list) or len(variants) > MOST_VARIANTS:
        raise ValueError(f"variants must be a list of at most {MOST_VARIANTS}")
    for one in variants:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) \
                or not isinstance(one.get("url"), (str, type(None))) \
                or not all(isinstance(one.get(side), (int, type(None))) for side in ("width", "height")):
            raise ValueError("a variant is {name, url, width, height}")


def record(uuid: UUID, outcome: Outcome, proof: Proof | None) -> AbstractProcessedImage | None:
    """The image as it stands then; an outcome that is known, or older than what is known, changes nothing."""
    model = get_image_model()
    database = router.db_for_write(model)
    with transaction.atomic(using=database):
        image = model._default_manager.using(database).select_for_update().filter(pk=uuid).first()
        if image is None or not _is_news(image, proof):
            return image
        image.outcome = Status.FAILED if outcome.error else Status.COMPLETED
        image.error, image.manifest, image.processed_key = outcome.error, outcome.manifest, outcome.processed_key
        image.credential, image.timestamp_completed = None, timezone.now()
        if proof:
            image.webhook_id, image.webhook_timestamp = proof.webhook_id, proof.timestamp
        image.save(using=database, update_fields=[
            "outcome", "error", "manifest", "processed_key", "credential", "timestamp_completed", "webhook_id",
            "webhook_timestamp"])
        signal = image_failed if outcome.error else image_completed
        transaction.on_commit(partial(signal.send_robust, sender=model, image=image), using=database)
    return image


def _is_news(image: AbstractProcessedImage, proof: Proof | None) -> bool:
    if proof is None:  # the seed's Lambda neither numbers nor dates what it says
        return image.outcome == Status.PENDING
    if proof.webhook_id == image.webhook_id:
        return False
    ours, known = _number(proof.webhook_id), _number(image.webhook_id)
    if ours is not None and known is not None:
        return ours > known
    # The Lambda function sends each outcome once, when it is so.
    return proof.timestamp >= image.webhook_timestamp


def _number(webhook_id: str) -> int | None:
    """A server counts the outcomes of an upload: `msg_<id>_<n>`."""
    found = re.fullmatch(r"msg_[0-9a-f]{32}_(\d{1,15})", webhook_id)
    return int(found[1]) if found else None


def _proof(request: HttpRequest, body: bytes) -> Proof | None:
    """None for one that is unsigned where that is allowed."""
    if conf.get("UNSIGNED_CALLBACKS") and "webhook-signature" not in request.headers:
        return None
    secrets = conf.callback_secrets()
    if not secrets:
        raise Unverified("this project has no secret to check callbacks with: set ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS")
    headers = {name.lower(): value for name, value in request.headers.items()}
    return verify(secrets, headers, body, time.time())


def _check_unsigned(told: dict[str, Any], uuid: UUID) -> None:
    """Anyone may have sent it: it can name the upload's own object alone, and no address."""
    told.pop("variants", None)
    key = told.get("processed_key")
    if isinstance(key, str) and PurePosixPath(key).stem not in (uuid.hex, str(uuid)):
        raise ValueError("processed_key is of another upload")


def _parse(body: bytes) -> dict[str, Any]:
    # Postgres keeps no NUL in JSON; cameras write them into their names.
    text = re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", r"\1", body.decode())
    told = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(told, dict):
        raise ValueError("the body must be an object")
    return told


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _answer(status: int, code: str, detail: str) -> JsonResponse:
    return JsonResponse({"code": code, "detail": detail}, status=status)
