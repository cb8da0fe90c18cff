"""A form's part: a file input whose file goes to the store, and whose value says which upload it is."""
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from . import uploads
from .models import AbstractProcessedImage, Status, get_image_model
from .server import Refused

# Ids of images are in their addresses, for all to see. What a form takes was handed out: to who uploaded it, or with a form that had it.
_UPLOADED = Signer(salt="django_tintype.uploaded")
_KEPT = Signer(salt="django_tintype.kept")
PATIENCE = 3  # seconds for which a form that is sent waits for a server


def form_value(image: AbstractProcessedImage) -> str:
    """What a form's field takes for an upload; for who uploaded it alone."""
    return _UPLOADED.sign(image.uuid.hex)


class _Posted(str):
    """What a browser sent: rendered again, it proves what it did before, and no more."""


class _NotUploaded(_Posted):
    """The name of a file that was chosen, and did not go to the store."""


class UploadWidget(forms.HiddenInput):
    input_type = "hidden"
    template_name = "django_tintype/upload.html"
    # Seconds for which a form waits to hear what came of a file that the store has.
    patience = 30

    class Media:
        js = ["django_tintype/upload.js"]

    def __init__(self, attrs: dict[str, Any] | None = None, preset: str = "", patience: int | None = None):
        super().__init__(attrs)
        self.preset = preset
        self.patience = self.patience if patience is None else patience

    @property
    def is_hidden(self) -> bool:
        return False

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        chosen = files.get(_chosen(name)) or data.get(_chosen(name))
        if chosen:
            return _NotUploaded(getattr(chosen, "name", chosen))
        value = data.get(name)
        return _Posted(value) if isinstance(value, str) else value

    def format_value(self, value: Any) -> str:
        uuid = _uuid(value)
        if uuid is None or isinstance(value, _NotUploaded):
            return ""
        if isinstance(value, _Posted):
            return str(value)
        # What a view took from an address, a text, is not signed.
        return uuid.hex if isinstance(value, str) else _KEPT.sign(uuid.hex)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        uuid = _uuid(context["widget"]["value"])
        context["widget"].update(
            presignedurl=reverse("async_image_upload:presignedurl"), preset=self.preset, chosen=_chosen(name), patience=self.patience,
            required=self.is_required, image=get_image_model()._default_manager.filter(pk=uuid).first() if uuid else None)
        return context


class UploadField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Takes uploads of who sends the form, and what the form had; and of these none that came to nothing."""

    default_error_messages = {
        "invalid_choice": _("This upload cannot be used here. Choose the file again."),
        "not_uploaded": _("“%(name)s” was not uploaded. Choose it again, and wait until it is; that takes JavaScript."),
        "failed": _("This file cannot be used: %(why)s"),
        "expired": _("The file did not arrive. Choose it again."),
        "gone": _("The file was not saved in time, and is gone. Choose it again."),
    }

    def __init__(self, *args: Any, user: Any = None, **options: Any):
        # Set it where a client of yours sends bare uuids: then those of this user are taken too.
        self.user = user
        super().__init__(*args, **options)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, _NotUploaded):
            raise ValidationError(self.error_messages["not_uploaded"], "not_uploaded", {"name": str(value)})
        if not isinstance(value, str) or value in self.empty_values:
            return super().to_python(value)
        uuid = _uuid(value)
        if uuid is None:
            raise ValidationError(self.error_messages["invalid_choice"], "invalid_choice", {"value": value})
        image: Any = super().to_python(uuid.hex)
        kept = _signed(_KEPT, value)
        if not kept and not self._is_theirs(image, value):
            raise ValidationError(self.error_messages["invalid_choice"], "invalid_choice", {"value": str(uuid)})
        if not kept or self.required:
            self._check(image)
        return image

    def _is_theirs(self, image: AbstractProcessedImage, value: str) -> bool:
        if image.user_id is None or _signed(_UPLOADED, value):
            return True
        return self.user is not None and self.user.is_authenticated and image.user_id == self.user.pk

    def _check(self, image: AbstractProcessedImage) -> None:
        if image.status == "expired":
            why = "expired" if image.outcome == Status.PENDING else "gone"
            raise ValidationError(self.error_messages[why], why)
        if image.outcome == Status.FAILED:
            raise self._failed(image.error)
        if self.required and image.outcome == Status.PENDING:
            self._ask(image)

    def _ask(self, image: AbstractProcessedImage) -> None:
        """A credential alone is no photo. Without a server, or with one out of reach, nobody knows, and it is taken."""
        try:
            told = uploads.uploaded(image, PATIENCE)
        except Refused as why:
            if why.code in ("original_missing", "not_found"):
                raise ValidationError(self.error_messages["expired"], "expired") from None
            return
        if told.get("status") == "expired":
            raise ValidationError(self.error_messages["expired"], "expired")
        if told.get("status") == "failed":  # the callback is on its way
            raise self._failed(told.get("error"))

    def _failed(self, error: dict[str, Any] | None) -> ValidationError:
        error = error or {}
        return ValidationError(self.error_messages["failed"], "failed", {"why": error.get("message") or error.get("code") or "?"})

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        return isinstance(data, _NotUploaded) or _uuid(self.prepare_value(initial)) != _uuid(data)


def _chosen(name: str) -> str:
    return f"{name}-chosen"


def _uuid(value: Any) -> UUID | None:
    """With a signature behind it, or without."""
    try:
        return UUID(str(value).partition(":")[0])
    except ValueError:
        return None


def _signed(signer: Signer, value: str) -> bool:
    try:
        signer.unsign(value)
    except BadSignature:
        return False
    return True
