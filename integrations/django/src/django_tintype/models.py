"""An image, from the moment its upload is asked for. Swap it with PROCESSED_IMAGE_MODEL, as AUTH_USER_MODEL swaps the user."""
import re
import uuid
from typing import Any, TypedDict, cast

from django.apps import apps
from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import conf


class Variant(TypedDict):
    """What the manifest says of one; of a seed's Lambda only name and URL are known, and the sizes are None."""
    name: str
    url: str
    width: int | None
    height: int | None


class Status(models.TextChoices):
    PENDING = "pending", _("pending")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")


class AbstractProcessedImage(models.Model):
    """Fields of your own need a default, or `null=True`: rows are made when uploads are asked for."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=16, choices=Status.choices, default=Status.PENDING, db_index=True)
    # While it can be used: {"url", "fields"}; of a store without forms also "method" and "headers".
    credential = models.JSONField(default=None, null=True, blank=True, editable=False)
    processed_key = models.CharField(max_length=1024, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    manifest = models.JSONField(default=None, null=True, blank=True)
    error = models.JSONField(default=None, null=True, blank=True)
    timestamp_created = models.DateTimeField(_("asked for"), default=timezone.now, db_index=True)
    timestamp_expire = models.DateTimeField(_("can be sent until"), null=True, blank=True)
    timestamp_completed = models.DateTimeField(_("ended"), null=True, blank=True)
    # Of the outcome that was told last: whether the next one is a repeat, or older.
    webhook_id = models.CharField(max_length=200, blank=True, editable=False)
    webhook_timestamp = models.BigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True
        ordering = ["-timestamp_created"]
        verbose_name = _("image")
        verbose_name_plural = _("images")

    def __str__(self) -> str:
        return str(self.uuid)

    @property
    def status(self) -> str:
        """`pending`, `completed`, `failed`; or `expired`: nothing came while it could, or nobody claimed it in time."""
        if self.outcome == Status.FAILED and (self.error or {}).get("code") == "expired":
            return "expired"
        if self.outcome == Status.PENDING and self.timestamp_expire and timezone.now() > self.timestamp_expire:
            return "expired"
        return self.outcome

    @property
    def variants(self) -> dict[str, Variant]:
        """By name, in the preset's order; empty until it is completed, and where only the key of one is known."""
        told = self.manifest.get("variants", []) if isinstance(self.manifest, dict) else []
        return {v["name"]: {"name": v["name"], "url": v.get("url") or "", "width": v.get("width"), "height": v.get("height")}
                for v in told}

    def variant(self, name: str) -> Variant | None:
        if self.outcome != Status.COMPLETED:
            return None
        found = self.variants.get(name)
        if found is None and not self.manifest and self.processed_key and conf.public_url():
            found = {"name": name, "url": conf.public_url() + _seeds_key(self.processed_key, name), "width": None, "height": None}
        # Whoever signs callbacks is believed, but not with `javascript:`.
        return found if found and re.match("https?://", found["url"]) else None

    def url(self, name: str = "original") -> str:
        """The address of a variant; empty while there is none."""
        found = self.variant(name)
        return found["url"] if found else ""

    @property
    def urls(self) -> dict[str, str]:
        """For templates: `{{ profile.photo.urls.original }}`."""
        return {name: self.url(name) for name in self.variants}

    @property
    def thumbnail(self) -> Variant | None:
        """The smallest sharp variant that is at least 100 pixels wide or high, or the largest there is."""
        sharp = [v for name in self.variants if "blur" not in name and (v := self.variant(name))]
        sized = sorted(((max(v["width"] or 0, v["height"] or 0), v) for v in sharp), key=lambda pair: pair[0])
        enough = [v for size, v in sized if size >= 100]
        return enough[0] if enough else sized[-1][1] if sized else self.variant("100x100")

    def facts(self) -> dict[str, Any]:
        """The manifest's `image`: thumbhash, dominant_color and so on."""
        facts = self.manifest.get("image") if isinstance(self.manifest, dict) else None
        return facts if isinstance(facts, dict) else {}


class ProcessedImage(AbstractProcessedImage):
    class Meta(AbstractProcessedImage.Meta):
        swappable = "PROCESSED_IMAGE_MODEL"


def get_image_model() -> type[AbstractProcessedImage]:
    """The model in force: ours, or the one that PROCESSED_IMAGE_MODEL names."""
    return cast("type[AbstractProcessedImage]", apps.get_model(settings.PROCESSED_IMAGE_MODEL, require_ready=False))


def _seeds_key(original: str, name: str) -> str:
    """`image/abc.jpg` and `50x50` make `image/abc_50x50.jpg`."""
    suffix = "" if name == "original" else "_" + name.removeprefix("original_")
    folder, slash, file = original.rpartition("/")
    stem, dot, extension = file.rpartition(".")
    return folder + slash + (f"{stem}{suffix}{dot}{extension}" if dot else file + suffix)
