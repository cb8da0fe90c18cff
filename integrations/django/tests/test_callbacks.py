"""Step 6, from this side: only what was signed is believed, once, and never an older outcome over a newer."""
import base64
import json
import time

import pytest
from conftest import URL, completed, failed, somebody, tell
from django.test import Client

from django_tintype import uploads
from django_tintype.models import get_image_model
from django_tintype.signals import image_completed, image_failed

OTHER = "whsec_" + base64.b64encode(b"another secret of 32 bytes......").decode()


@pytest.fixture
def heard():
    """What receivers were told."""
    told = []
    good, bad = (lambda image, **_: told.append(("completed", image.pk))), (lambda image, **_: told.append(("failed", image.pk)))
    image_completed.connect(good)
    image_failed.connect(bad)
    yield told
    image_completed.disconnect(good)
    image_failed.disconnect(bad)


@pytest.mark.parametrize("method", ["put", "post"])
@pytest.mark.django_db(transaction=True)
def test_a_completed_upload_has_its_variants(image, heard, method):
    assert tell(image, completed(image), method=method).status_code == 200
    image.refresh_from_db()
    assert image.status == "completed" and image.processed_key == f"image/{image.uuid.hex}.jpg" and image.timestamp_completed
    assert image.url("100x100") == f"https://cdn.example.com/image/{image.uuid.hex}_100x100.jpg"
    assert image.variant("100x100") == {"name": "100x100", "url": image.url("100x100"), "width": 100, "height": 75}
    assert image.url("nothing") == "" and list(image.urls) == ["original", "100x100"]
    assert image.credential is None and image.metadata == {"id": "12345"}
    assert heard == [("completed", image.pk)]


def test_an_upload_that_nobody_claimed_has_expired(image):
    assert tell(image, completed(image)).status_code == 200
    assert tell(image, failed(image, "expired") | {"status": "expired"}, 2).status_code == 200
    image.refresh_from_db()
    assert image.status == "expired" and image.url() == ""


@pytest.mark.django_db(transaction=True)
def test_a_failed_upload_has_its_reason(image, heard):
    assert tell(image, failed(image)).status_code == 200
    image.refresh_from_db()
    assert image.status == "failed" and image.error == {"code": "corrupt", "message": "it is cut off"}
    assert image.url() == "" and heard == [("failed", image.pk)]


@pytest.mark.django_db(transaction=True)
def test_a_repeat_is_answered_and_changes_nothing(image, heard):
    for _ in range(3):
        assert tell(image, completed(image)).status_code == 200
    assert len(heard) == 1


@pytest.mark.django_db(transaction=True)
def test_an_older_outcome_never_overwrites_a_newer(image, heard):
    assert tell(image, completed(image), number=10).status_code == 200
    assert tell(image, failed(image), number=9, at=time.time() + 60).status_code == 200
    image.refresh_from_db()
    assert image.status == "completed" and len(heard) == 1
    assert tell(image, failed(image), number=11).status_code == 200
    image.refresh_from_db()
    assert image.status == "failed" and image.urls == {} and image.processed_key == ""


@pytest.mark.django_db(transaction=True)
def test_outcomes_of_the_function_go_by_their_time(image, heard):
    """It does not count: its webhook-id is of what came out."""
    now = time.time()
    assert tell(image, failed(image), f"{image.uuid.hex}-aaaa", at=now).status_code == 200
    assert tell(image, completed(image), f"{image.uuid.hex}-bbbb", at=now - 10).status_code == 200
    image.refresh_from_db()
    assert image.status == "failed"
    assert tell(image, completed(image), f"{image.uuid.hex}-bbbb", at=now + 10).status_code == 200
    image.refresh_from_db()
    assert image.status == "completed" and [what for what, _ in heard] == ["failed", "completed"]


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_fails_undoes_nothing(image, heard):
    def breaks(**_):
        raise RuntimeError("of the receiver")
    image_completed.connect(breaks)
    try:
        assert tell(image, completed(image)).status_code == 200
    finally:
        image_completed.disconnect(breaks)
    image.refresh_from_db()
    assert image.status == "completed"


def test_what_is_not_signed_by_us_is_refused(image):
    for wrong in ({"secret": OTHER}, {"at": time.time() - 310}, {"at": time.time() + 310}, {"webhook-id": "msg_x_1"},
                  {"webhook-signature": None}, {"webhook-signature": "v1,"}, {"webhook-signature": "v1a,é"}, {"webhook-timestamp": "soon"},
                  {"webhook-timestamp": "٣"}, {"webhook-id": None}, {"webhook-id": "m" * 300}):
        answer = tell(image, completed(image), **wrong)
        assert answer.status_code == 401, wrong
        assert "webhook-" in answer.json()["detail"] and "whsec" not in answer.content.decode()
    image.refresh_from_db()
    assert image.status == "pending"


def test_secrets_can_be_changed_without_a_gap(image, settings):
    old = settings.ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS[0]
    settings.ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS = [OTHER, old]
    assert tell(image, failed(image), 1, secret=old).status_code == 200
    assert tell(image, failed(image), 2, secret=OTHER).status_code == 200
    settings.ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS = [OTHER]
    assert tell(image, failed(image), 3, secret=old).status_code == 401


def test_the_secret_is_tintypes_own_variable_unless_it_is_set(image, settings, monkeypatch):
    del settings.ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS
    assert tell(image, failed(image), secret=OTHER).status_code == 401
    monkeypatch.setenv("TINTYPE_CALLBACK__SECRET", OTHER)
    assert tell(image, failed(image), secret=OTHER).status_code == 200


def test_a_signed_callback_is_of_its_own_upload_alone(image, ada):
    [other] = uploads.create(user=ada)
    assert tell(other, completed(image)).status_code == 400
    other.refresh_from_db()
    assert other.status == "pending"


def test_the_address_takes_a_key_too(image):
    assert tell(image, completed(image), key=f"{image.uuid.hex}.jpg").status_code == 200
    assert tell(image, failed(image), 2, key=str(image.uuid)).status_code == 200
    assert tell(image, failed(image), 3, key="../../etc").status_code == 404


@pytest.mark.parametrize("body, status", [
    ("[]", 400), ("{", 400), ("[" * 100000, 400), ('{"id": NaN}', 400), ('{"processed_key": 7}', 400), ("{}", 400),
    ('{"variants": {}, "processed_key": "a"}', 400), ('{"variants": [{"name": 1}], "processed_key": "a"}', 400),
    ('{"variants": [{"name": "a", "url": {}}], "processed_key": "a"}', 400), ('"' + "x" * 1024 * 1024 + '"', 413),
])
def test_a_body_that_says_nothing_is_refused(image, body, status):
    if body.startswith("{") and len(body) > 2 and "id" not in body:
        body = body[:1] + f'"id": "{image.uuid.hex}", ' + body[1:]
    assert tell(image, body).status_code == status


def test_names_of_cameras_may_hold_a_nul(image):
    body = completed(image)
    body["image"]["camera"] = {"make": "Canon\0\0", "model": "\\u0000"}
    assert tell(image, body).status_code == 200
    image.refresh_from_db()
    assert image.facts()["camera"] == {"make": "Canon", "model": "\\u0000"}


def test_nobodys_upload_is_not_found(image):
    get_image_model().objects.all().delete()
    assert tell(image, completed(image)).status_code == 404


# --- the seed's Lambda, which signs nothing ---

def lambda_tells(image, body) -> int:
    return Client(enforce_csrf_checks=True).put(f"{URL}{image.uuid.hex}/", json.dumps(body), content_type="application/json").status_code


def test_the_seeds_lambda_is_not_believed_unless_that_is_asked_for(image):
    assert lambda_tells(image, {"processed_key": f"image/{image.uuid.hex}.jpg"}) == 401


def test_the_seeds_lambda_ends_an_upload_once(image, ada, settings):
    settings.ASYNC_IMAGE_UPLOAD_UNSIGNED_CALLBACKS = True
    key = f"image/{image.uuid.hex}.jpg"
    assert lambda_tells(image, {"processed_key": f"image/{somebody()}.jpg"}) == 400, "another upload's"
    assert lambda_tells(image, {"processed_key": key, "variants": [{"name": "original", "url": "https://evil.example.com/"}]}) == 200
    image.refresh_from_db()
    base = f"https://photos.s3.eu-west-1.amazonaws.com/image/{image.uuid.hex}"
    assert [image.url(name) for name in ("original", "50x50", "original_blurred", "50x50_blurred")] == [
        f"{base}.jpg", f"{base}_50x50.jpg", f"{base}_blurred.jpg", f"{base}_50x50_blurred.jpg"]
    assert lambda_tells(image, {"error": "too late"}) == 200
    image.refresh_from_db()
    assert image.status == "completed"
    [other] = uploads.create(user=ada)
    assert lambda_tells(other, {"error": "cannot identify image file"}) == 200
    other.refresh_from_db()
    assert other.error == {"code": "processing_failed", "message": "cannot identify image file"}


def test_once_something_is_signed_its_signature_counts(image, settings):
    settings.ASYNC_IMAGE_UPLOAD_UNSIGNED_CALLBACKS = True
    assert tell(image, completed(image), secret=OTHER).status_code == 401


def test_of_hostile_addresses_none_is_shown(image):
    body = completed(image)
    body["variants"][0]["url"] = "javascript:alert(1)"
    assert tell(image, body).status_code == 200
    assert get_image_model().objects.get(pk=image.pk).url("original") == ""
