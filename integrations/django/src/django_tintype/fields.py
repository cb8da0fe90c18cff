"""The model field: a foreign key to the image model that knows how its form looks."""
from typing import Any

from django import forms
from django.conf import settings
from django.db import models

from .forms import UploadField, UploadWidget


class ProcessedImageField(models.ForeignKey):  # type: ignore[type-arg]
    """`photo = ProcessedImageField()`. Then `profile.photo.url("100x100")`; in forms, a file input that uploads by itself."""

    def __init__(self, to: Any = None, on_delete: Any = models.SET_NULL, preset: str = "", **options: Any):
        self.preset = preset
        if on_delete is models.SET_NULL:
            options["null"] = True
        options.setdefault("blank", True)
        options.setdefault("related_name", "+")
        super().__init__(to or settings.PROCESSED_IMAGE_MODEL, on_delete, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        if self.preset:
            options["preset"] = self.preset
        return name, path, args, options

    def formfield(self, **options: Any) -> forms.Field | None:  # type: ignore[override]
        options.setdefault("form_class", UploadField)
        options.setdefault("widget", UploadWidget(preset=self.preset))
        return super().formfield(**options)
