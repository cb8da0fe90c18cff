"""What `manage.py check` says before anything goes wrong, each with how to mend it."""
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from . import conf
from .models import AbstractProcessedImage
from .signature import key_of


@register()
def check_way(**_: Any) -> list[CheckMessage]:
    """A server or a bucket, and what each needs."""
    if not conf.server() and not conf.bucket():
        return [Error("Nothing says where uploads go.", id="tintype.E001", hint=(
            'Set ASYNC_IMAGE_UPLOAD_SERVER to the address of a Tintype server ("http://127.0.0.1:8000" is where `tintype serve` '
            "listens), or ASYNC_IMAGE_UPLOAD_BUCKET to an S3 bucket."))]
    if conf.server() and conf.bucket():
        return [Error("Both ASYNC_IMAGE_UPLOAD_SERVER and ASYNC_IMAGE_UPLOAD_BUCKET are set.", id="tintype.E002",
                      hint="Leave out the bucket: the server has one of its own.")]
    if conf.server():
        if urlsplit(conf.server()).scheme not in ("http", "https") or not urlsplit(conf.server()).hostname:
            return [Error("ASYNC_IMAGE_UPLOAD_SERVER is no address.", id="tintype.E003",
                          hint='Write it as "https://tintype.example.com".')]
    elif find_spec("boto3") is None:
        return [Error("ASYNC_IMAGE_UPLOAD_BUCKET needs boto3.", id="tintype.E004", hint="pip install 'django-tintype[s3]'")]
    return []


@register(Tags.security)
def check_secrets(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for secret in conf.callback_secrets():
        try:
            key_of(secret)
        except ValueError as why:
            found.append(Error(f"A secret for callbacks is none: {why}.", id="tintype.E005",
                               hint='Make one: echo "whsec_$(head -c 32 /dev/urandom | base64)"'))
    if conf.get("UNSIGNED_CALLBACKS"):
        found.append(Warning("Callbacks that nobody signed are believed.", id="tintype.W001", hint=(
            "Take ASYNC_IMAGE_UPLOAD_UNSIGNED_CALLBACKS away once Tintype's function has replaced the old Lambda.")))
    elif not conf.callback_secrets():
        found.append(Warning("Every callback will be refused, since there is no secret to check it with.", id="tintype.W002", hint=(
            "Give this project and Tintype the same variable TINTYPE_CALLBACK__SECRET, "
            'made by: echo "whsec_$(head -c 32 /dev/urandom | base64)"; or set ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS.')))
    return found


@register(Tags.models)
def check_model(**_: Any) -> list[CheckMessage]:
    named = settings.PROCESSED_IMAGE_MODEL
    try:
        model = apps.get_model(named)
    except (LookupError, ValueError):
        return [Error(f"PROCESSED_IMAGE_MODEL is {named!r}, which is no model.", id="tintype.E006", hint=(
            'Write it as "app.Model", with the app in INSTALLED_APPS; ours is "async_image_upload.ProcessedImage".'))]
    if not issubclass(model, AbstractProcessedImage):
        return [Error(f"{named} (PROCESSED_IMAGE_MODEL) lacks what an image has.", id="tintype.E007",
                      hint="Derive it from django_tintype.models.AbstractProcessedImage.")]
    return []


@register(Tags.urls)
def check_urls(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if getattr(settings, "ROOT_URLCONF", None):
        try:
            reverse("async_image_upload:presignedurl")
        except NoReverseMatch:
            found.append(Warning("No client can ask for an upload, and no callback comes in.", id="tintype.W003", hint=(
                'Add path("async_image_upload/", include("django_tintype.urls")) to urlpatterns.')))
    try:
        import_string(conf.get("PERMISSION"))
    except ImportError as why:
        found.append(Error(f"ASYNC_IMAGE_UPLOAD_PERMISSION: {why}", id="tintype.E008", hint=(
            "Name a function of a request, such as django_tintype.permissions.authenticated.")))
    return found
