"""`path("async_image_upload/", include("django_tintype.urls"))`: the addresses of what this replaces."""
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path, register_converter
from django.views.decorators.csrf import csrf_exempt

from .callbacks import callback

if apps.is_installed("rest_framework"):
    from . import rest
    collection: Any = rest.Collection.as_view()
    detail: Any = rest.Detail.as_view()
    uploaded: Any = rest.Uploaded.as_view()
else:
    from . import views
    collection, detail, uploaded = views.collection, views.detail, views.uploaded

app_name = "async_image_upload"


class UploadConverter:
    """A UUID in either form; a processor may call back on the key, which ends in an extension."""
    regex = r"[0-9a-fA-F-]{32,36}(?:\.[A-Za-z0-9]{1,10})?"

    def to_python(self, value: str) -> UUID:
        return UUID(value.partition(".")[0])

    def to_url(self, value: UUID | str) -> str:
        return UUID(str(value)).hex


@csrf_exempt  # a callback has a signature instead, and a GET changes nothing
def upload(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    answer: HttpResponseBase = (callback if request.method in ("PUT", "POST") else detail)(request, uuid=uuid)
    return answer


register_converter(UploadConverter, "upload")

# A project that has everybody log in (LoginRequiredMiddleware) still hears callbacks; who may do what is asked in the views.
urlpatterns = [
    path("presignedurl/", login_not_required(collection), name="presignedurl"),
    path("presignedurl/<upload:uuid>/", login_not_required(upload), name="presignedurl-detail"),
    path("presignedurl/<upload:uuid>/uploaded/", login_not_required(uploaded), name="presignedurl-uploaded"),
    path("presignedurl/<upload:uuid>", login_not_required(upload)),
]
