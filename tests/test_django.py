"""The Django package in projects that `startproject` made, against a real Tintype: forms, admin, callbacks, async views."""
import hashlib
import json
import os
import sqlite3
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
import requests
from standardwebhooks import Webhook

import corpus
from support import django, s3
from support.django import BIN, PACKAGE, Project
from support.function import BOOTSTRAP, Function, s3_event
from support.process import wait_for
from support.receiver import SECRET
from support.upload import DRIVERS, boto3_style, with_fields

PHOTO = corpus.save(corpus.photo(1600, 1200, 51), "JPEG", quality=85)
KEY = "tt_of_the_tests_0123456789abcdefghij"
MODELS = '''
from django.db import models
from django.dispatch import receiver
from django_tintype.fields import ProcessedImageField
from django_tintype.signals import image_completed, image_failed

class Profile(models.Model):
    name = models.CharField(max_length=100)
    photo = ProcessedImageField()

class Strict(models.Model):
    name = models.CharField(max_length=100)
    photo = ProcessedImageField(blank=False)

class Pair(models.Model):
    name = models.CharField(max_length=100)
    front, back = ProcessedImageField(), ProcessedImageField()

class Heard(models.Model):
    uuid = models.UUIDField()

@receiver([image_completed, image_failed])
async def hear(image, **_):
    await Heard.objects.acreate(uuid=image.uuid)
'''
VIEWS = '''
import json
from urllib.parse import urlencode
from django.contrib import admin
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path
from django.views.generic import CreateView, DetailView
from django_tintype import uploads
from .models import Heard, Pair, Profile, Strict

admin.site.register(Profile)

class Shown:
    def render_to_response(self, context):
        return HttpResponse(engines["django"].from_string(self.text).render(context, self.request))

class New(Shown, CreateView):
    model, fields = Profile, ["name", "photo"]
    text = """<form method="post" id="edit">{% csrf_token %}{{ form }}{{ form.media }}<button>Save</button>
        <button formaction="?by=other" name="then" value="more">Save and more</button></form>
        <button form="edit" name="then" value="outside">Save from outside</button>"""
    def get_success_url(self):
        photos = [getattr(self.object, name).uuid.hex for name in self.fields if name != "name" and getattr(self.object, name)]
        return f"/profiles/{self.object.pk}/?" + urlencode({
            "then": self.request.POST.get("then", ""), "by": self.request.GET.get("by", ""), "photos": " ".join(photos)})

class NewStrict(New):
    model = Strict

class NewPair(New):
    model, fields = Pair, ["name", "front", "back"]

class Apart(New):
    """The field stands outside of its form."""
    text = """<form method="post" id="edit">{% csrf_token %}{{ form.name }}<button>Save</button></form>{{ form.photo }}{{ form.media }}"""
    def get_form(self, *args):
        form = super().get_form(*args)
        form.fields["photo"].widget.attrs["form"] = "edit"
        return form

class Show(Shown, DetailView):
    model = Profile
    text = """{% load tintype %}<h1>{{ object.name }}</h1>{% variant_img object.photo "100x100" alt=object.name class="face" %}
        <p>{% variant object.photo "400x400" %}</p>"""

async def ask(request):
    images = await uploads.acreate([uploads.NewUpload(filename="a.jpg")] * 2, await request.auser())
    return JsonResponse([[image.uuid.hex, image.credential] for image in images], safe=False)

async def heard(request, uuid):
    return HttpResponse(await Heard.objects.filter(uuid=uuid).acount())

urlpatterns = [path("new/", New.as_view()), path("strict/", NewStrict.as_view()), path("pair/", NewPair.as_view()),
               path("apart/", Apart.as_view()), path("<int:pk>/", Show.as_view()), path("ask/", ask), path("heard/<uuid>/", heard)]
'''


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return django.install(tmp_path_factory.mktemp("django-tintype"))


@pytest.fixture
def project(site, tmp_path):
    made = []

    def make(*settings: str, **options) -> Project:
        made.append(Project(tmp_path / f"project{len(made)}", site, list(settings), **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def with_profiles(project: Project) -> Project:
    """The project gets an app of its own, with a form, an admin page and an async view."""
    project.change("profiles/models.py", "", MODELS)
    project.change("profiles/views.py", "", VIEWS)
    project.change("shop/urls.py", "urlpatterns = [\n", 'urlpatterns = [\n    path("profiles/", include("profiles.views")),\n')
    (project.home / "profiles/__init__.py").touch()
    project.manage("makemigrations", "profiles")
    return project


@pytest.mark.parametrize("database, server, method", [("sqlite", "runserver", "POST"), ("postgres", "uvicorn", "PUT")])
def test_a_fresh_project_takes_a_photo_by_a_form_and_shows_it(database, server, method, serve, project, request, tmp_path, say):
    address = request.getfixturevalue("postgres").database() if database == "postgres" else ""
    tintype = serve(backend=None, start=False)
    shop = project(f'ASYNC_IMAGE_UPLOAD_SERVER = "{tintype.url}"', apps=("profiles",), database=address,
                   env={"TINTYPE_CALLBACK__SECRET": SECRET})
    with_profiles(shop).start(server)
    tintype.env |= {"TINTYPE_CALLBACK__SECRET": SECRET, "CALLBACK_URL": shop.callback_url, "TINTYPE_UPLOAD__METHOD": method}
    tintype.start()
    photo, text = tmp_path / "photo.jpg", tmp_path / "text.jpg"
    photo.write_bytes(PHOTO)
    text.write_text("no image")

    seen = django.browse("profile", url=shop.url, user=django.USER, password=django.PASSWORD, photo=str(photo), text=str(text),
                         shots=str(tmp_path))

    say(f"screenshots in {tmp_path}")
    assert seen["problems"] == []
    [[width, height, style]] = seen["shown"]
    assert (width, height) == (100, 75) and "data:image/png" in style
    [listed] = seen["listed"]
    assert listed[:2] == [100, 75]
    assert any("unsupported_format" in row for row in seen["rows"]) and any("completed" in row for row in seen["rows"])
    assert "1 will be developed again" in seen["retry"] and "1 deleted, here and in the store" in seen["erase"]
    assert [requests.get(url, timeout=10).status_code for url in seen["urls"]] == [404] * 8
    assert len(seen["variants"]) == 8 and all(width for width, *_ in seen["variants"])
    assert "Traceback" not in shop.log()


def test_a_form_that_is_saved_while_its_photo_is_on_its_way_has_it(serve, project, tmp_path, say):
    """Whatever sends the form: it waits, and goes on with the same button; what fails is said, and keeps it."""
    tintype = serve(backend=None, start=False)
    shop = project(f'ASYNC_IMAGE_UPLOAD_SERVER = "{tintype.url}"', apps=("profiles",), env={"TINTYPE_CALLBACK__SECRET": SECRET})
    with_profiles(shop).start()
    tintype.env |= {"TINTYPE_CALLBACK__SECRET": SECRET, "CALLBACK_URL": shop.callback_url}
    tintype.start()
    photo, text = tmp_path / "photo.jpg", tmp_path / "text.jpg"
    photo.write_bytes(PHOTO)
    text.write_text("no image")

    seen = django.browse("saving", url=shop.url, user=django.USER, password=django.PASSWORD, photo=str(photo), text=str(text),
                         shots=str(tmp_path))

    say(f"screenshots in {tmp_path}")
    assert seen["problems"] == []
    for way, then, by, photos in (("button", "", "", 1), ("enter", "", "", 1), ("requestSubmit", "", "", 1), ("formaction", "more", "other", 1),
                                  ("outside", "outside", "", 1), ("apart", "", "", 1), ("strict", "", "", 1), ("pair", "", "", 2)):
        saved = seen[way]
        assert "Uploading…" in saved["said"] and saved["busy"] == "true", (way, saved)
        assert (saved["then"], saved["by"], len(saved["photos"])) == (then, by, photos), (way, saved)
    assert "Not uploaded" in seen["failed"]["said"] and seen["failed"]["role"] == "alert" and seen["failed"]["stayed"]
    assert seen["again"]["photos"] == [], "who was told may go on without it"
    assert seen["empty"] == {"said": "Not uploaded: the file is empty", "asked": []}
    assert seen["seen late"]["stayed"] and seen["seen late"]["focus"] == "file"
    assert seen["required"]["stayed"] and "required" in seen["required by the server"]
    assert "was not uploaded" in seen["without JavaScript"]
    assert seen["admin"] == 1
    assert "Traceback" not in shop.log()


def test_a_form_does_not_wait_for_a_store_that_tells_nobody(serve, project, seaweedfs, tmp_path):
    at = seaweedfs.bucket("django-tells-nobody")
    at.s3.put_bucket_cors(Bucket=at.bucket, CORSConfiguration={"CORSRules": [
        {"AllowedOrigins": ["*"], "AllowedMethods": ["POST"], "AllowedHeaders": ["*"]}]})
    tintype = serve(backend=None, start=False, env=at.env)
    shop = project(f'ASYNC_IMAGE_UPLOAD_SERVER = "{tintype.url}"', apps=("profiles",), env={"TINTYPE_CALLBACK__SECRET": SECRET})
    with_profiles(shop).start()
    tintype.env |= {"TINTYPE_CALLBACK__SECRET": SECRET, "CALLBACK_URL": shop.callback_url}
    tintype.start()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(PHOTO)

    seen = django.browse("at_once", url=shop.url, user=django.USER, password=django.PASSWORD, photo=str(photo))

    assert seen["took"] < 20, "it waits 30 s for what it does not hear"
    [[width, height, _]] = seen["shown"]
    assert (width, height) == (100, 75)
    assert "Traceback" not in shop.log()


def test_a_form_takes_ones_own_uploads_alone(with_server):
    shop, tintype = with_server
    shop.manage("shell", "-c", "from django.contrib.auth import get_user_model as m; m().objects.create_superuser('bob', 'b@example.com', "
                               f"'{django.PASSWORD}')")
    ada, bob = shop.login(), shop.login("bob")
    told = shop.ask(ada, {"filename": "a.jpg"}).json()
    post = lambda who, **fields: who.post(f"{shop.url}/profiles/strict/", data={"name": "x", **fields}, allow_redirects=False)
    for value in (told["uuid"], str(uuid.UUID(told["uuid"])), told["uuid"] + ":" + "A" * 43, "", "0" * 32):
        refused = post(bob, photo=value)
        assert refused.status_code == 200 and 'class="errorlist"' in refused.text, value
    refused = post(ada, photo=told["form_value"])
    assert refused.status_code == 200 and "did not arrive" in refused.text, "a photo that is required was never sent"
    assert boto3_style(told["credential"], PHOTO).status == 204
    assert post(ada, photo=told["form_value"]).status_code == 302
    broken = shop.ask(ada, {"filename": "a.jpg"}).json()
    assert boto3_style(broken["credential"], b"no image").status == 204
    assert shop.ended(ada, broken["uuid"])["status"] == "failed"
    refused = post(ada, photo=broken["form_value"])
    assert refused.status_code == 200 and "cannot be used" in refused.text
    unknown = shop.ask(ada, {"filename": "a.jpg"}).json()
    tintype.stop()
    assert post(ada, photo=unknown["form_value"]).status_code == 302, "whether it arrived, nobody can say"


@pytest.fixture
def with_server(serve, project, postgres):
    """A project on Postgres and uvicorn, with a Tintype that asks for a key and calls it back."""
    tintype = serve(backend=None, start=False)
    shop = project(f'ASYNC_IMAGE_UPLOAD_SERVER = "{tintype.url}"', f'ASYNC_IMAGE_UPLOAD_API_KEY = "{KEY}"',
                   f'ASYNC_IMAGE_UPLOAD_CALLBACK_SECRETS = ["{SECRET}"]', apps=("profiles",), database=postgres.database())
    with_profiles(shop).start("uvicorn")
    scopes = f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()} uploads:create uploads:write"
    tintype.env |= {"TINTYPE_AUTH__KEYS": scopes, "TINTYPE_CALLBACK__SECRET": SECRET, "CALLBACK_URL": shop.callback_url,
                    "TINTYPE_UPLOAD__MAX_BYTES": "1000000"}
    tintype.start()
    return shop, tintype


@pytest.mark.parametrize("driver", DRIVERS)
def test_old_clients_flow_goes_through(with_server, driver):
    """POST, form, GET until it ended: what clients of django-async-image-upload do."""
    shop, _ = with_server
    ada = shop.login()
    asked = shop.ask(ada, {"metadata": {"id": "12345"}})
    assert asked.status_code == 201, asked.text
    told = asked.json()
    assert DRIVERS[driver](told["credential"], PHOTO).status == 204
    ended = shop.ended(ada, told["uuid"])
    assert ended["status"] == "completed" and ended["processed_key"] == f"image/{told['uuid']}.jpeg" and ended["metadata"] == {"id": "12345"}
    assert len(ended["variants"]) == 8
    for url in ended["variants"].values():
        assert requests.get(url, timeout=10).headers["Content-Type"] == "image/jpeg"
    assert requests.get(f"{shop.url}/async_image_upload/presignedurl/{told['uuid']}/").status_code == 403, "a stranger"


def test_what_a_project_claims_stays_and_the_rest_has_expired(with_server):
    shop, tintype = with_server
    tintype.stop()
    tintype.env["TINTYPE_UPLOAD__CLAIM_WITHIN"] = "8s"
    tintype.start()
    ada = shop.login()
    kept, left = (shop.ask(ada, {"filename": "a.jpg"}).json() for _ in range(2))
    for told in (kept, left):
        assert boto3_style(told["credential"], PHOTO).status == 204
    assert shop.ended(ada, kept["uuid"])["status"] == "completed"
    shop.manage("shell", "-c", "from django_tintype import uploads; from django_tintype.models import get_image_model as m; "
                               f"uploads.claim(m().objects.get(pk='{kept['uuid']}'))")
    look = lambda told: ada.get(f"{shop.url}/async_image_upload/presignedurl/{told['uuid']}/").json()
    wait_for("the other's end", lambda: look(left)["status"] == "expired", 60)
    stays = look(kept)
    assert stays["status"] == "completed" and {requests.get(url, timeout=10).status_code for url in stays["variants"].values()} == {200}


def test_with_a_setting_what_is_saved_is_claimed(serve, project):
    """By the admin, by whom nobody thinks of it; what is in no row goes."""
    tintype = serve(backend=None, start=False)
    shop = project(f'ASYNC_IMAGE_UPLOAD_SERVER = "{tintype.url}"', "ASYNC_IMAGE_UPLOAD_CLAIM = True", apps=("profiles",),
                   env={"TINTYPE_CALLBACK__SECRET": SECRET})
    with_profiles(shop).start()
    tintype.env |= {"TINTYPE_CALLBACK__SECRET": SECRET, "CALLBACK_URL": shop.callback_url, "TINTYPE_UPLOAD__CLAIM_WITHIN": "8s"}
    tintype.start()
    ada = shop.login()
    kept, left = (shop.ask(ada, {"filename": "a.jpg"}).json() for _ in range(2))
    for told in (kept, left):
        assert boto3_style(told["credential"], PHOTO).status == 204
    form = {"name": "Ada", "photo": kept["form_value"], "csrfmiddlewaretoken": ada.cookies["csrftoken"]}
    saved = ada.post(f"{shop.url}/admin/profiles/profile/add/", data=form)
    assert "was added successfully" in saved.text, saved.text
    claimed = {one["id"]: one["claimed_at"] for one in tintype.call("GET", "/v1/uploads").json()["uploads"]}
    assert claimed[kept["uuid"]] and not claimed[left["uuid"]]
    look = lambda told: ada.get(f"{shop.url}/async_image_upload/presignedurl/{told['uuid']}/").json()
    wait_for("the other's end", lambda: look(left)["status"] == "expired", 60)
    assert look(kept)["status"] == "completed"
    # Out of reach, it is no reason to lose the row.
    lost = shop.ask(ada, {"filename": "a.jpg"}).json()
    tintype.stop()
    saved = ada.post(f"{shop.url}/admin/profiles/profile/add/", data=form | {"name": "Byron", "photo": lost["form_value"]})
    assert "was added successfully" in saved.text and "was not claimed" in shop.log() and "Traceback" not in shop.log()


def test_what_the_server_refuses_is_said_and_what_is_ours_to_mend_is_logged(with_server):
    shop, tintype = with_server
    ada = shop.login()
    refused = shop.ask(ada, {"size": 1000001})
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    refused = shop.ask(ada, {"preset": "nothing"})
    assert refused.status_code == 400 and "nothing" in refused.json()["detail"]
    assert shop.ask(ada, [{}] * 100).status_code == 201
    tintype.stop()
    refused = shop.ask(ada, {})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    tintype.env["TINTYPE_AUTH__KEYS"] = "sha256:" + "0" * 64
    tintype.start()
    refused = shop.ask(ada, {})
    assert (refused.status_code, refused.json()["code"]) == (502, "unavailable") and KEY not in refused.text
    assert refused.json()["detail"] == "uploads do not work at the moment; please try again later"
    assert "ASYNC_IMAGE_UPLOAD_SERVER answered 401" in shop.log() and "Set ASYNC_IMAGE_UPLOAD_API_KEY" in shop.log() and KEY not in shop.log()


def test_async_views_ask_side_by_side(with_server):
    shop, _ = with_server
    ada = shop.login()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ada.get(f"{shop.url}/profiles/ask/"), range(32)))
    assert {answer.status_code for answer in answers} == {200}
    asked = [one for answer in answers for one in answer.json()]
    assert len({uuid for uuid, _ in asked}) == 64
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: boto3_style(one[1], PHOTO), asked[:16]))
    assert {shop.ended(ada, uuid)["status"] for uuid, _ in asked[:16]} == {"completed"}
    assert "SynchronousOnlyOperation" not in shop.log() and "Traceback" not in shop.log()


def test_of_many_that_tell_the_same_at_once_one_is_heard(with_server):
    shop, _ = with_server
    ada = shop.login()
    told = shop.ask(ada, {"filename": "a.jpg"}).json()
    assert boto3_style(told["credential"], PHOTO).status == 204
    assert shop.ended(ada, told["uuid"])["status"] == "completed"
    heard = lambda: int(requests.get(f"{shop.url}/profiles/heard/{told['uuid']}/", timeout=10).text)
    wait_for("the receiver", lambda: heard() == 1)
    body = json.dumps({"id": told["uuid"], "status": "failed", "error": {"code": "corrupt", "message": "said later"}})
    headers = signed(f"msg_{told['uuid']}_2", body)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: requests.put(f"{shop.url}/async_image_upload/presignedurl/{told['uuid']}/", body,
                                                       headers=headers, timeout=30).status_code, range(32)))
    assert set(answers) == {200} and heard() == 2


def signed(webhook_id: str, body: str) -> dict:
    now = datetime.now(timezone.utc)
    return {"webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp())), "Content-Type": "application/json",
            "webhook-signature": Webhook(SECRET).sign(webhook_id, now, body)}


# --- without a server ---

@pytest.fixture(scope="module")
def bucket(seaweedfs):
    return seaweedfs.bucket("django-photos")


def old_settings(bucket) -> list[str]:
    """Those of a project that presigns by itself, by their old names; AWS needs no endpoint."""
    return [f'ASYNC_IMAGE_UPLOAD_BUCKET = "{bucket.bucket}"', "ASYNC_IMAGE_UPLOAD_PRESIGNED_URL_CONTENT_LENGTH = 1000000",
            f'AWS_ACCESS_KEY_ID, AWS_ACCESS_KEY_SECRET = "{s3.ACCESS_KEY}", "{s3.SECRET_KEY}"',
            f'ASYNC_IMAGE_UPLOAD_ENDPOINT, ASYNC_IMAGE_UPLOAD_REGION = "{bucket.endpoint}", "{s3.REGION}"']


@pytest.fixture
def alone(bucket, project) -> Project:
    return project(*old_settings(bucket), env={"TINTYPE_CALLBACK__SECRET": SECRET}).start()


def test_a_store_holds_clients_to_what_was_presigned(alone, bucket):
    ada = alone.login()
    told = alone.ask(ada, {"metadata": {"id": "12345"}, "filename": "a.jpg"}).json()
    credential = told["credential"]
    key = credential["fields"]["key"]
    for wrong in (with_fields(credential, key="temp/another.jpg"), with_fields(credential, acl="public-read"),
                  with_fields(credential, Content__Type="text/html"), with_fields(credential, x__amz__meta__id="9")):
        assert boto3_style(wrong, PHOTO).status == 403
    assert boto3_style(credential, PHOTO + bytes(1000000)).status == 400
    assert boto3_style(with_fields(credential, Content__Type="image/jpeg"), PHOTO).status == 204
    head = bucket.s3.head_object(Bucket=bucket.bucket, Key=key)
    assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (len(PHOTO), "image/jpeg", {"id": "12345"})


@pytest.mark.skipif(not BOOTSTRAP.exists(), reason="deploy/aws/build makes the function")
@pytest.mark.parametrize("address", ["{id}/", "{key}/"])
def test_the_function_calls_back(alone, bucket, tmp_path, address):
    ada = alone.login()
    function = Function(tmp_path / "function", {
        "CALLBACK_URL": f"{alone.url}/async_image_upload/presignedurl/{address}", "TINTYPE_CALLBACK__SECRET": SECRET,
        "TINTYPE_CALLBACK__ALLOW_PRIVATE": "true", "AWS_ENDPOINT_URL": bucket.endpoint, "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY, "AWS_REGION": s3.REGION})
    try:
        for data, status in ((PHOTO, "completed"), (b"no image", "failed")):
            told = alone.ask(ada, {"filename": "a.jpg"}).json()
            assert boto3_style(told["credential"], data).status == 204
            event = s3_event(bucket.bucket, told["credential"]["fields"]["key"])
            for _ in range(2):  # a function's event may come twice
                assert function.invoke(event).ok
            ended = alone.standing(ada, told["uuid"])
            assert ended["status"] == status
    finally:
        function.stop()
    assert ended["error"]["code"] == "unsupported_format"


def test_a_callback_as_the_documents_say_it_is(alone):
    ada = alone.login()
    told = alone.ask(ada, {"filename": "a.jpg"}).json()
    url = f"{alone.url}/async_image_upload/presignedurl/{told['uuid']}/"
    body = f'{{"id": "{told["uuid"]}", "status": "failed", "error": {{"code": "corrupt", "message": "cut off"}}}}'
    headers = signed("one", body)
    assert requests.put(url, body, headers=headers | {"webhook-signature": None}).status_code == 401
    assert requests.put(url, body.replace("cut", "put"), headers=headers).status_code == 401
    assert requests.put(url, body, headers=headers).status_code == 200
    assert alone.standing(ada, told["uuid"])["error"] == {"code": "corrupt", "message": "cut off"}
    assert requests.put(url, iter([b"x" * 3000000]), headers=headers).status_code in (400, 401, 413)


# --- from django-async-image-upload ---

OLD_TABLES = """
CREATE TABLE presignedurl (id integer PRIMARY KEY, uuid char(32), user_id integer, credential text, processed_key varchar(256),
  timestamp_created datetime, timestamp_expire datetime, timestamp_completed datetime, metadata text, error text);
CREATE TABLE processedimage (id integer PRIMARY KEY, uuid char(32), user_id integer, processed_key varchar(256), metadata text);
"""


def test_the_way_over_as_it_is_written(project, bucket):
    """docs/django.md, step by step: old rows, the old Lambda, then Tintype's function in its place."""
    old = uuid.uuid4().hex
    bucket.s3.put_object(Bucket=bucket.bucket, Key=f"image/{old}_50x50.jpg", Body=b"made long ago", ContentType="image/jpeg")
    unsigned = "ASYNC_IMAGE_UPLOAD_UNSIGNED_CALLBACKS = True"
    shop = project(*old_settings(bucket), 'PROCESSED_IMAGE_MODEL = "ProcessedImage"', unsigned, apps=("rest_framework",))
    database = sqlite3.connect(shop.home / "db.sqlite3")
    database.executescript(OLD_TABLES)
    database.execute("INSERT INTO presignedurl VALUES (1, ?, NULL, '{}', ?, '2021-06-01 10:00:00', '2021-06-01 10:16:40', "
                     "'2021-06-01 10:00:05', '{\"id\": \"12345\"}', 'null')", [old, f"image/{old}.jpg"])
    database.commit()
    shop.start()
    assert "1 images taken over" in shop.manage("import_async_image_upload")
    asked = f"from django_tintype.models import get_image_model as m; print('at', m().objects.get(pk='{old}').url('50x50'))"
    [url] = [line.split()[1] for line in shop.manage("shell", "-c", asked).splitlines() if line.startswith("at ")]
    assert requests.get(url, timeout=10).content == b"made long ago"

    ada = shop.login()
    told = shop.ask(ada, {"metadata": {"id": "12345"}}).json()
    assert boto3_style(told["credential"], PHOTO).status == 204
    answer = f"{shop.url}/async_image_upload/presignedurl/{told['uuid']}/"
    assert requests.put(answer, json={"processed_key": f"image/{told['uuid']}.jpg"}, timeout=10).status_code == 200
    assert shop.standing(ada, told["uuid"])["status"] == "completed"
    assert "tintype.W001" in shop.manage("check")

    shop.stop()
    shop.env["TINTYPE_CALLBACK__SECRET"] = SECRET
    shop.change("shop/settings.py", unsigned, "")
    assert "no issues" in shop.manage("check")
    shop.run()
    told = shop.ask(ada, {"metadata": {"id": "12345"}}).json()
    answer = f"{shop.url}/async_image_upload/presignedurl/{told['uuid']}/"
    assert requests.put(answer, json={"processed_key": f"image/{told['uuid']}.jpg"}, timeout=10).status_code == 401
    body = json.dumps({"id": told["uuid"], "status": "completed", "processed_key": f"image/{told['uuid']}.jpg"})
    assert requests.put(answer, body, headers=signed("two", body), timeout=10).status_code == 200


# --- the package by itself ---

def test_a_project_without_a_setting_is_told_which(project):
    said = project().manage("check", check=False)
    assert "tintype.E001" in said and "ASYNC_IMAGE_UPLOAD_SERVER" in said
    said = project('ASYNC_IMAGE_UPLOAD_SERVER = "http://127.0.0.1:8000"').manage("check")
    assert "tintype.W002" in said and "TINTYPE_CALLBACK__SECRET" in said


@pytest.mark.parametrize("way", ["sqlite", "postgres", "without-rest-framework", "own-model", "own-model+postgres"])
def test_the_packages_own_tests_pass(way, request):
    env = {"without-rest-framework": {"WITH_DRF": "0"}}.get(way, {})
    if "own-model" in way:
        env["WITH_MODEL"] = "gallery.Photo"
    if "postgres" in way:
        env["WITH_POSTGRES"] = request.getfixturevalue("postgres").database()
    done = subprocess.run([BIN / "pytest", "-q"], cwd=PACKAGE, capture_output=True, text=True, timeout=300,
                          env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-4000:] + done.stderr


def test_the_types_hold():
    done = subprocess.run([BIN / "mypy"], cwd=PACKAGE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
