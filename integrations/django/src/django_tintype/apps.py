from django.apps import AppConfig
from django.conf import settings

# Django's own way to swap a model asks for the setting by name, in migrations too: it must be there before any model is.
# What this replaces looked for names without an app among its own.
_model = getattr(settings, "PROCESSED_IMAGE_MODEL", "ProcessedImage")
settings.PROCESSED_IMAGE_MODEL = _model if "." in _model else f"async_image_upload.{_model}"


class TintypeConfig(AppConfig):
    name = "django_tintype"
    # The label of what this replaces: foreign keys to "async_image_upload.ProcessedImage" stay as they are.
    label = "async_image_upload"
    verbose_name = "Image uploads"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, claims, conf  # noqa: F401  (registers checks)

        if conf.get("CLAIM"):
            claims.watch()
