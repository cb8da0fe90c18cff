"""Who may ask for uploads and look at their own. ASYNC_IMAGE_UPLOAD_PERMISSION names one of these, or yours."""
from collections.abc import Callable

from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import conf


def authenticated(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated)


def staff(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.is_staff)


def anyone(request: HttpRequest) -> bool:
    """Strangers too: put a limit of requests before it."""
    return True


def permits(request: HttpRequest) -> bool:
    named: Callable[[HttpRequest], bool] = import_string(conf.get("PERMISSION"))
    return bool(named(request))
