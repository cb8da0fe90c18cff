"""The same with Django REST framework: its authentication (tokens, sessions, yours), throttles and renderers."""
from typing import Any
from uuid import UUID

from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .permissions import permits
from .views import Answer, asked, pending, read_json, sent, standing


class BoundedJson(BaseParser):
    """Its own reads all there is."""
    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return read_json(stream)
        except ValueError as why:
            raise ParseError(str(why)) from None


class Permitted(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return permits(request)


@method_decorator(never_cache, "dispatch")
class Collection(APIView):
    parser_classes = [BoundedJson]
    permission_classes = [Permitted]

    def get(self, request: Request) -> Response:
        return _response(pending(request.user))

    def post(self, request: Request) -> Response:
        return _response(asked(request.user, request.data))


@method_decorator(never_cache, "dispatch")
class Detail(APIView):
    permission_classes = [Permitted]

    def get(self, request: Request, uuid: UUID) -> Response:
        return _response(standing(request.user, uuid))


@method_decorator(never_cache, "dispatch")
class Uploaded(APIView):
    permission_classes = [Permitted]

    def post(self, request: Request, uuid: UUID) -> Response:
        return _response(sent(request.user, uuid))


def _response(answer: Answer) -> Response:
    status, body, headers = answer
    return Response(body, status=status, headers=headers)
