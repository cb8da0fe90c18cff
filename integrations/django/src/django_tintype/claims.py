"""With ASYNC_IMAGE_UPLOAD_CLAIM: the image that a saved row has is claimed, whatever saved it: a form, the admin, your code."""
import functools
import logging
import uuid
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models.signals import post_init, post_save

from . import uploads
from .fields import ProcessedImageField
from .models import get_image_model
from .server import Refused

log = logging.getLogger(__name__)


def watch() -> None:
    """From now on, of every model that has a `ProcessedImageField`."""
    for model in apps.get_models():
        if _fields(model):
            post_init.connect(_remember, sender=model, dispatch_uid="tintype.claims")
            post_save.connect(_claim, sender=model, dispatch_uid="tintype.claims")


@functools.cache
def _fields(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields if isinstance(field, ProcessedImageField)]


def _images(instance: models.Model) -> dict[str, uuid.UUID | None]:
    """What is known without asking the database: a deferred field was not changed."""
    return {name: instance.__dict__[name] for name in _fields(type(instance)) if name in instance.__dict__}


def _remember(instance: models.Model, **_: Any) -> None:
    instance.__dict__["_tintype_claimed"] = _images(instance)


def _claim(instance: models.Model, created: bool, raw: bool, update_fields: frozenset[str] | None, using: str, **_: Any) -> None:
    if raw:
        return
    before = {} if created else instance.__dict__.get("_tintype_claimed", {})
    now = _images(instance)
    if update_fields is not None:
        saved = {field.attname for field in instance._meta.concrete_fields if {field.name, field.attname} & update_fields}
        now = {name: image for name, image in now.items() if name in saved}
    for name, image in now.items():
        if image is not None and image != before.get(name):
            transaction.on_commit(functools.partial(_tell, image), using=using)
    instance.__dict__["_tintype_claimed"] = {**before, **now}


def _tell(image: uuid.UUID) -> None:
    """A row that is saved stays saved, whatever comes of this."""
    try:
        uploads.claim(get_image_model()(uuid=image))
    except Refused as why:
        log.error("image %s was not claimed: %s. Call uploads.claim for it, or it goes after upload.claim_within", image, why)
