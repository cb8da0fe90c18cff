"""Steps 1 to 3 without a server: who may ask, what is answered, what the store is told to hold a client to."""
import asyncio
import base64
import json
import os
import uuid
from datetime import timedelta

import pytest
from conftest import URL, completed, tell
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from django_tintype import uploads
from django_tintype.models import get_image_model
from django_tintype.permissions import permits

REST = os.environ.get("WITH_DRF", "1") == "1"


def ask(client, body) -> tuple[int, dict]:
    got = client.post(URL, json.dumps(body), content_type="application/json")
    return got.status_code, got.json()


def policy(credential: dict) -> list:
    return json.loads(base64.b64decode(credential["fields"]["policy"]))["conditions"]


def test_the_answer_has_what_old_clients_read(client, ada):
    status, told = ask(client, {"metadata": {"id": 12345}})
    assert status == 201
    assert set(told) == {"uuid", "credential", "timestamp_expire", "processed_key", "error", "status", "metadata", "variants",
                         "form_value"}
    assert (told["processed_key"], told["error"], told["status"], told["metadata"]) == (None, None, "pending", {"id": "12345"})
    image = get_image_model().objects.get(pk=told["uuid"])
    assert image.user == ada and image.uuid.version == 4
    assert abs(image.timestamp_expire - timezone.now() - timedelta(seconds=1000)) < timedelta(seconds=20)
    assert client.get(f"{URL}{told['uuid']}/").json()["credential"] == told["credential"]
    assert [one["uuid"] for one in client.get(URL).json()] == [told["uuid"]]


def test_a_form_is_held_to_what_tintypes_own_are(client):
    _, told = ask(client, {"metadata": {"Id": "12345"}, "filename": "Photo.JPG"})
    key = f"temp/{told['uuid']}.jpg"
    assert told["credential"]["url"] == "https://photos.s3.eu-west-1.amazonaws.com/"
    assert list(told["credential"]["fields"])[:4] == ["key", "acl", "Content-Type", "x-amz-meta-id"]
    assert told["credential"]["fields"]["key"] == key and told["credential"]["fields"]["Content-Type"] == "image/*"
    conditions = policy(told["credential"])
    for one in ({"acl": "bucket-owner-full-control"}, ["starts-with", "$Content-Type", "image/"], {"x-amz-meta-id": "12345"},
                ["content-length-range", 1, 10485760], {"bucket": "photos"}, {"key": key}):
        assert one in conditions
    _, told = ask(client, {"size": 5, "content_type": "image/png"})
    assert ["content-length-range", 5, 5] in policy(told["credential"])
    assert told["credential"]["fields"]["Content-Type"] == "image/png"


def test_settings_under_the_old_names_count(client, settings):
    settings.ASYNC_IMAGE_UPLOAD_TEMPORARY_IMAGE_PATH = "in/"
    settings.ASYNC_IMAGE_UPLOAD_PRESIGNED_URL_EXPIRATION = 60
    settings.ASYNC_IMAGE_UPLOAD_PRESIGNED_URL_CONTENT_LENGTH = 1000
    _, told = ask(client, {})
    assert told["credential"]["fields"]["key"] == f"in/{told['uuid']}"
    assert ["content-length-range", 1, 1000] in policy(told["credential"])
    assert get_image_model().objects.get(pk=told["uuid"]).timestamp_expire < timezone.now() + timedelta(seconds=61)
    assert ask(client, {"size": 1001}) == (413, {"code": "too_large", "detail": "at most 1000 bytes"})


def test_many_at_once(client):
    status, told = ask(client, [{"filename": f"{n}.png"} for n in range(100)])
    assert status == 201 and len({one["uuid"] for one in told}) == 100
    assert ask(client, [{}] * 101)[0] == ask(client, [])[0] == 400
    assert get_image_model().objects.count() == 100


def test_a_credential_is_given_again_only_where_that_is_asked_for(client, settings):
    assert len({ask(client, {"metadata": {"id": 1}})[1]["uuid"] for _ in range(2)}) == 2
    settings.ASYNC_IMAGE_UPLOAD_PRESIGNED_URL_REUSE_WINDOW = 30
    first = ask(client, {"metadata": {"id": "2"}})[1]
    assert ask(client, {"metadata": {"id": 2}})[1]["credential"] == first["credential"]
    assert ask(client, {"metadata": {"id": 3}})[1]["uuid"] != first["uuid"]
    assert ask(client, {"metadata": {"id": 2}, "filename": "a.jpg"})[1]["uuid"] != first["uuid"]
    get_image_model().objects.filter(pk=first["uuid"]).update(timestamp_expire=timezone.now() + timedelta(seconds=29))
    assert ask(client, {"metadata": {"id": 2}})[1]["uuid"] != first["uuid"]


@pytest.mark.parametrize("body", [
    "text", 7, [7], {"metadata": []}, {"metadata": {"é": "1"}}, {"metadata": {"a": "é"}}, {"metadata": {"a": " 1"}},
    {"metadata": {"a": "1\r\nx: y"}}, {"metadata": {"a": []}}, {"metadata": {"a": None}}, {"metadata": {"a": "x" * 2048}},
    {"metadata": {"a": "1", "A": "2"}}, {"size": 0}, {"size": True}, {"size": "5"}, {"filename": 7}, {"filename": "a" * 256},
    {"content_type": "image/png\r\n"}, {"preset": "avatar"}])
def test_what_cannot_be_is_refused(client, body):
    status, told = ask(client, body)
    assert status == 400 and told["code"] == "invalid_request" and told["detail"]
    assert get_image_model().objects.count() == 0


def test_an_empty_file_is_called_so(client):
    assert ask(client, {"filename": "a.jpg", "size": 0}) == (400, {"code": "invalid_request", "detail": "the file is empty"})


@pytest.mark.parametrize("body, why", [
    ({"filename": "a.pdf", "content_type": "application/pdf"}, ".pdf"), ({"filename": "A.PDF"}, ".pdf"), ({"filename": "clip.mp4"}, ".mp4"),
    ({"content_type": "text/html"}, "text/html")])
def test_what_is_no_image_is_refused_at_once(client, body, why):
    status, told = ask(client, body)
    assert (status, told["code"]) == (422, "unsupported_format") and why in told["detail"] and "not an image" in told["detail"]
    assert get_image_model().objects.count() == 0


def test_a_body_that_is_no_json_is_refused(client):
    for raw in ("{", "\xff", "[" * 100000, '"' + "x" * 600000 + '"'):
        assert client.post(URL, raw, content_type="application/json").status_code == 400


def test_only_who_is_logged_in_may_ask(db, settings):
    stranger = Client()
    assert ask(stranger, {})[0] == stranger.get(URL).status_code == stranger.get(f"{URL}{uuid.uuid4().hex}/").status_code == 403
    settings.ASYNC_IMAGE_UPLOAD_PERMISSION = "django_tintype.permissions.anyone"
    status, told = ask(stranger, {})
    assert status == 201 and stranger.get(f"{URL}{told['uuid']}/").status_code == 200 and stranger.get(URL).json() == []


def test_a_session_needs_its_csrf_token(ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.post(URL, "{}", content_type="application/json").status_code == 403
    assert get_image_model().objects.count() == 0


def test_staff_alone_may_ask_where_that_is_set(client, ada, settings):
    settings.ASYNC_IMAGE_UPLOAD_PERMISSION = "django_tintype.permissions.staff"
    assert ask(client, {})[0] == 403
    ada.is_staff = True
    ada.save()
    assert ask(client, {})[0] == 201


def test_others_uploads_are_not_found(client, image):
    other = Client()
    other.force_login(get_user_model().objects.create_user("bob"))
    assert other.get(f"{URL}{image.uuid.hex}/").status_code == 404 and other.get(URL).json() == []
    get_image_model().objects.update(user=None)
    assert client.get(f"{URL}{image.uuid.hex}/").status_code == 404, "its owner may have gone"
    other.force_login(get_user_model().objects.create_user("eve", is_staff=True))
    assert other.get(f"{URL}{image.uuid}/").status_code == 200


def test_what_ended_is_shown_with_its_variants_and_without_its_credential(client, image):
    tell(image, completed(image))
    told = client.get(f"{URL}{image.uuid.hex}").json()
    assert told["status"] == "completed" and told["credential"] is None
    assert told["variants"]["100x100"] == f"https://cdn.example.com/image/{image.uuid.hex}_100x100.jpg"
    assert client.get(URL).json() == []


def test_what_never_came_is_expired(client, image):
    get_image_model().objects.update(timestamp_expire=timezone.now() - timedelta(seconds=1))
    assert client.get(f"{URL}{image.uuid.hex}/").json()["status"] == "expired" and client.get(URL).json() == []


def test_answers_are_kept_by_nobody(client, image):
    assert "no-store" in client.get(URL)["Cache-Control"]


def test_a_server_that_is_not_there_is_said_so_to_the_client(client, settings):
    settings.ASYNC_IMAGE_UPLOAD_BUCKET, settings.ASYNC_IMAGE_UPLOAD_SERVER = "", "http://127.0.0.1:1"
    got = client.post(URL, "{}", content_type="application/json")
    assert got.status_code == 503 and got["Retry-After"] == "5" and got.json()["code"] == "unavailable"
    assert get_image_model().objects.count() == 0


def test_a_server_is_told_that_a_file_is_sent(client, image, server, caplog):
    """Not every store tells it. What keeps it from being told is logged."""
    url = f"{URL}{image.uuid.hex}/uploaded/"
    told = ("POST", f"/v1/uploads/{image.uuid.hex}/uploaded")
    assert client.post(url).json()["status"] == "pending" and server.asked == [told]
    assert client.get(url).status_code == 405
    assert Client().post(url).status_code in (401, 403)
    bob = Client()
    bob.force_login(get_user_model().objects.create_user("bob"))
    assert bob.post(url).status_code == 404 and server.asked == [told], "another's"
    server.say = uploads.Refused(503, "unavailable", "uploads are out of reach; try again", "5")
    got = client.post(url)
    assert (got.status_code, got["Retry-After"]) == (503, "5") and f"image {image.uuid} is uploaded: uploads are out of reach" in caplog.text
    tell(image, completed(image))
    assert client.post(url).json()["status"] == "completed" and len(server.asked) == 2, "it is known"


def test_only_ones_own_pages_say_that_a_file_is_sent(ada, image, server):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert strict.post(f"{URL}{image.uuid.hex}/uploaded/").status_code == 403 and not server.asked


def test_without_a_server_nobody_is_told_that_a_file_is_sent(client, image):
    assert client.post(f"{URL}{image.uuid.hex}/uploaded/").status_code == 200
    assert uploads.uploaded(image) == {}


def test_what_takes_a_server_says_so(image):
    for call in (uploads.claim, uploads.retry, uploads.erase):
        with pytest.raises(uploads.Refused, match="ASYNC_IMAGE_UPLOAD_SERVER"):
            call(image)
    assert get_image_model().objects.count() == 1


@pytest.mark.skipif(not REST, reason="of Django REST framework")
def test_rest_frameworks_authentication_counts(ada):
    stranger = Client()
    basic = "Basic " + base64.b64encode(b"ada:lovelace-1815").decode()
    got = stranger.post(URL, "{}", content_type="application/json", headers={"Authorization": basic})
    assert got.status_code == 201 and get_image_model().objects.get().user == ada


@pytest.mark.django_db(transaction=True)
def test_async_code_asks_too():
    async def ask_and_look():
        user = await get_user_model().objects.acreate(username="ada")
        [image] = await uploads.acreate([uploads.NewUpload(filename="a.jpg")], user)
        assert (await get_image_model().objects.aget(user=user)).pk == image.pk
    asyncio.run(ask_and_look())


def test_a_permission_may_be_yours(rf, settings):
    settings.ASYNC_IMAGE_UPLOAD_PERMISSION = "test_uploads.from_the_office"
    assert permits(rf.get("/", REMOTE_ADDR="10.0.0.1")) and not permits(rf.get("/"))


def from_the_office(request) -> bool:
    return request.META["REMOTE_ADDR"].startswith("10.")
