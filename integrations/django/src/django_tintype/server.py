"""Calls to a Tintype server. They block: `uploads` has the ways in for async code."""
import json
import logging
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from . import conf

TIMEOUT = 15  # seconds
# For visitors, who cannot mend it; the log has the reason.
NOT_NOW = "uploads do not work at the moment; please try again later"
LONGEST_ANSWER = 4 * 1024 * 1024
log = logging.getLogger(__name__)


class Refused(Exception):
    """An upload cannot be had. `status`, `code` and `detail` are for whoever asked for it."""

    def __init__(self, status: int, code: str, detail: str, retry_after: str = ""):
        super().__init__(detail)
        self.status, self.code, self.detail, self.retry_after = status, code, detail, retry_after


class _NoRedirects(HTTPRedirectHandler):
    """Nobody but the server that was named is shown the key."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)


def call(method: str, path: str, body: Any = None, timeout: float = TIMEOUT) -> Any:
    if not conf.server():
        raise Refused(501, "invalid_request", "this takes a Tintype server: set ASYNC_IMAGE_UPLOAD_SERVER")
    headers = {"Accept": "application/json"}
    if key := conf.get("API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    data = None
    if body is not None:
        data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
    try:
        with _opener.open(Request(conf.server() + path, data, headers, method=method), timeout=timeout) as answer:
            read = answer.read(LONGEST_ANSWER + 1)
        if len(read) > LONGEST_ANSWER:
            raise ValueError("it is too long")
        return json.loads(read) if read else None
    except HTTPError as error:
        with error:
            raise _refusal(error) from None
    except (OSError, HTTPException, ValueError) as error:
        log.error("ASYNC_IMAGE_UPLOAD_SERVER gave no answer to %s %s: %s", method, path, error)
        raise Refused(503, "unavailable", "uploads are out of reach; try again", "5") from None


def _refusal(error: HTTPError) -> Refused:
    try:
        problem = json.loads(error.read(65536))
        code, detail = str(problem["code"]), str(problem["detail"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        code, detail = "unavailable", f"the upload server answered {error.code}"
    if error.code in (400, 409, 413, 422, 429, 503):
        return Refused(error.code, code, detail, error.headers.get("Retry-After", ""))
    # 401, 403 and redirects are this project's to mend, and not of whoever asked for an upload.
    hint = ""
    if error.code in (401, 403):
        hint = ". Set ASYNC_IMAGE_UPLOAD_API_KEY to a key with the scopes uploads:create and uploads:write; `tintype keys create` makes one"
    log.error("ASYNC_IMAGE_UPLOAD_SERVER answered %s (%s): %s%s", error.code, code, detail, hint)
    if error.code == 404:
        return Refused(404, "not_found", "there is no such upload")
    return Refused(502, "unavailable", NOT_NOW)
