"""A form's part: a file input whose file goes to the store, and whose value is the upload's uuid."""
from typing import Any
from uuid import UUID

from django import forms
from django.urls import reverse

from .models import get_image_model


class UploadWidget(forms.HiddenInput):
    input_type = "hidden"
    template_name = "django_tintype/upload.html"

    class Media:
        js = ["django_tintype/upload.js"]

    def __init__(self, attrs: dict[str, Any] | None = None, preset: str = ""):
        super().__init__(attrs)
        self.preset = preset

    @property
    def is_hidden(self) -> bool:
        return False

    def format_value(self, value: Any) -> str:
        try:
            return UUID(str(value)).hex
        except ValueError:
            return ""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        value = context["widget"]["value"]
        context["widget"].update(presignedurl=reverse("async_image_upload:presignedurl"), preset=self.preset,
                                 image=get_image_model()._default_manager.filter(pk=value).first() if value else None)
        return context
