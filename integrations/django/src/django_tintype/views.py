"""What the URLs answer, and how they do it without Django REST framework; rest.py is the other way."""
import json
import logging
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from . import uploads
from .forms import form_value
from .models import AbstractProcessedImage, Status, get_image_model
from .permissions import permits
from .server import Refused

log = logging.getLogger(__name__)
LONGEST_BODY = 512 * 1024  # 100 uploads with all the metadata that S3 takes
Answer = tuple[int, Any, dict[str, str]]
NOT_FOUND: Answer = (404, {"code": "not_found", "detail": "there is no such upload"}, {})


def shown(image: AbstractProcessedImage) -> dict[str, Any]:
    """An upload in the words of what this replaces, and the addresses of its variants."""
    return {"uuid": image.uuid.hex, "credential": image.credential, "timestamp_expire": image.timestamp_expire,
            "processed_key": image.processed_key or None, "error": image.error, "status": image.status,
            "metadata": image.metadata, "variants": image.urls,
            "form_value": form_value(image)}


def read_json(stream: Any) -> Any:
    """Of a body, no more than is reasonable. Raises ValueError, which says what to send."""
    body = stream.read(LONGEST_BODY + 1)
    if len(body) > LONGEST_BODY:
        raise ValueError(f"send at most {LONGEST_BODY} bytes")
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ValueError('send JSON such as {"metadata": {}}') from None


def asked(user: Any, body: Any) -> Answer:
    """POST presignedurl/: credentials."""
    try:
        images = uploads.create(uploads.parse(body), user)
    except Refused as why:
        return _refused(why)
    return 201, [shown(image) for image in images] if isinstance(body, list) else shown(images[0]), {}


def pending(user: Any) -> Answer:
    """GET presignedurl/: one's own credentials that can still be used."""
    if not user.is_authenticated:
        return 200, [], {}
    found = get_image_model()._default_manager.filter(user_id=user.pk, outcome=Status.PENDING, timestamp_expire__gt=timezone.now())
    return 200, [shown(image) for image in found[:uploads.MOST_AT_ONCE]], {}


def standing(user: Any, uuid: UUID) -> Answer:
    """GET presignedurl/<uuid>/"""
    image = _theirs(user, uuid)
    return (200, shown(image), {}) if image else NOT_FOUND


def sent(user: Any, uuid: UUID) -> Answer:
    """POST presignedurl/<uuid>/uploaded/: the client has sent the file, and not every store tells the server."""
    image = _theirs(user, uuid)
    if image is None:
        return NOT_FOUND
    if image.status == Status.PENDING:
        try:
            uploads.uploaded(image)
        except Refused as why:
            log.warning("the server was not told that image %s is uploaded: %s", image, why)
            return _refused(why)
    return 200, shown(image), {}


def _theirs(user: Any, uuid: UUID) -> AbstractProcessedImage | None:
    """One's own; for a stranger one that nobody owns, for staff anybody's."""
    found = get_image_model()._default_manager.filter(pk=uuid)
    if not (user.is_authenticated and user.is_staff):
        found = found.filter(user_id=user.pk)  # a stranger's is None
    return found.first()


def _refused(why: Refused) -> Answer:
    return why.status, {"code": why.code, "detail": why.detail}, {"Retry-After": why.retry_after} if why.retry_after else {}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def collection(request: HttpRequest) -> HttpResponse:
    if not permits(request):
        return _json((403, {"code": "forbidden", "detail": "log in first"}, {}))
    if request.method != "POST":
        return _json(pending(request.user))
    try:
        told = read_json(request)
    except ValueError as why:
        return _json((400, {"code": "invalid_request", "detail": str(why)}, {}))
    return _json(asked(request.user, told))


@never_cache
@require_http_methods(["GET", "HEAD"])
def detail(request: HttpRequest, uuid: UUID) -> HttpResponse:
    if not permits(request):
        return _json((403, {"code": "forbidden", "detail": "log in first"}, {}))
    return _json(standing(request.user, uuid))


@never_cache
@require_http_methods(["POST"])
def uploaded(request: HttpRequest, uuid: UUID) -> HttpResponse:
    if not permits(request):
        return _json((403, {"code": "forbidden", "detail": "log in first"}, {}))
    return _json(sent(request.user, uuid))


def _json(answer: Answer) -> HttpResponse:
    status, body, headers = answer
    return JsonResponse(body, status=status, headers=headers, safe=False)
