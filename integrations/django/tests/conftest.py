import json
import time
import uuid
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from standardwebhooks import Webhook

from django_tintype import uploads

URL = "/async_image_upload/presignedurl/"


@pytest.fixture
def ada(db):
    return get_user_model().objects.create_user("ada", password="lovelace-1815")


@pytest.fixture
def client(ada):
    """Ada's; other clients are nobody's."""
    client = Client()
    client.force_login(ada)
    return client


@pytest.fixture
def image(ada):
    """An upload of Ada's that has not ended."""
    return uploads.create([uploads.NewUpload({"id": "12345"}, filename="a.jpg")], ada)[0]


@pytest.fixture
def server(settings, monkeypatch):
    """A server that answers what `server.say` is, or raises it; `server.asked` has the calls."""
    settings.ASYNC_IMAGE_UPLOAD_BUCKET, settings.ASYNC_IMAGE_UPLOAD_SERVER = "", "http://tintype.example"

    def call(method, path, body=None, timeout=15):
        fake.asked.append((method, path))
        if isinstance(fake.say, Exception):
            raise fake.say
        return fake.say

    fake = SimpleNamespace(say={"status": "processing"}, asked=[])
    monkeypatch.setattr("django_tintype.server.call", call)
    return fake


def completed(image, *names: str) -> dict:
    """What Tintype says of an upload that ended well."""
    base = f"image/{image.uuid.hex}"
    variants = [{"name": name, "key": f"{base}_{name}.jpg", "url": f"https://cdn.example.com/{base}_{name}.jpg",
                 "content_type": "image/jpeg", "width": 1600 if name == "original" else 100, "height": 1200 if name == "original" else 75}
                for name in names or ("original", "100x100")]
    return {"id": image.uuid.hex, "status": "completed", "processed_key": f"{base}.jpg", "original": {"key": f"temp/{image.uuid.hex}.jpg"},
            "variants": variants, "image": {"format": "jpeg", "has_alpha": False, "thumbhash": "1QcSHQRnh493V4dIh4eXh1h4kJUI"},
            "metadata": {"id": "12345"}, "preset": {"name": "default", "version": "1"}, "engine": "tintype 0.1.0"}


def failed(image, code: str = "corrupt") -> dict:
    return {"id": image.uuid.hex, "status": "failed", "error": {"code": code, "message": "it is cut off"},
            "original": {"key": "temp/a"}, "metadata": {}}


def tell(image, body, number: int | str = 1, secret: str = "", at: float | None = None, method: str = "put", key: str = "", **headers):
    """A callback, signed by the reference library; `number` of a server's outcome, or a whole webhook-id."""
    secret = secret or settings.ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS[0]
    webhook_id = number if isinstance(number, str) else f"msg_{image.uuid.hex}_{number}"
    at = int(at or time.time())
    raw = body if isinstance(body, str) else json.dumps(body)
    signature = Webhook(secret).sign(webhook_id, datetime.fromtimestamp(at, timezone.utc), raw)
    shown = {"webhook-id": webhook_id, "webhook-timestamp": str(at), "webhook-signature": signature} | headers
    return getattr(Client(enforce_csrf_checks=True), method)(
        f"{URL}{key or image.uuid.hex}/", raw, content_type="application/json",
        headers={name: value for name, value in shown.items() if value is not None})


def somebody() -> str:
    return uuid.uuid4().hex
