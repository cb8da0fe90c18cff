"""The Django package in projects that `startproject` made, against a real Tintype: forms, admin, callbacks, async views."""
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

import corpus
from support import django, s3, upload
from support.django import Project
from support.receiver import SECRET

PHOTO = corpus.save(corpus.photo(1600, 1200, 51), "JPEG", quality=85)
KEY = "tt_of_the_tests_0123456789abcdefghij"
MODELS = '''
from django.db import models
from django_tintype.fields import ProcessedImageField

class Profile(models.Model):
    name = models.CharField(max_length=100)
    photo = ProcessedImageField()
'''
VIEWS = '''
import json
from django.contrib import admin
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path
from django.views.generic import CreateView, DetailView
from django_tintype import uploads
from .models import Profile

admin.site.register(Profile)

class Shown:
    def render_to_response(self, context):
        return HttpResponse(engines["django"].from_string(self.text).render(context, self.request))

class New(Shown, CreateView):
    model, fields = Profile, ["name", "photo"]
    text = """<form method="post">{% csrf_token %}{{ form }}{{ form.media }}<button type="submit">Save</button></form>"""
    def get_success_url(self):
        return f"/profiles/{self.object.pk}/"

class Show(Shown, DetailView):
    model = Profile
    text = """{% load tintype %}<h1>{{ object.name }}</h1>{% variant_img object.photo "100x100" alt=object.name class="face" %}
        <p>{% variant object.photo "400x400" %}</p>"""

async def ask(request):
    images = await uploads.acreate([uploads.NewUpload(filename="a.jpg")] * 2, await request.auser())
    return JsonResponse([[image.uuid.hex, image.credential] for image in images], safe=False)

urlpatterns = [path("new/", New.as_view()), path("<int:pk>/", Show.as_view()), path("ask/", ask)]
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


@pytest.mark.parametrize("database, server", [("sqlite", "runserver"), ("postgres", "uvicorn")])
def test_a_fresh_project_takes_a_photo_by_a_form_and_shows_it(database, server, serve, project, request, tmp_path, say):
    address = request.getfixturevalue("postgres").database() if database == "postgres" else ""
    tintype = serve(backend=None, start=False)
    shop = project(f'ASYNC_IMAGE_UPLOAD_SERVER = "{tintype.url}"', apps=("profiles",), database=address,
                   env={"TINTYPE_CALLBACK__SECRET": SECRET})
    with_profiles(shop).start(server)
    tintype.env |= {"TINTYPE_CALLBACK__SECRET": SECRET, "CALLBACK_URL": shop.callback_url}
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
    assert "1 will be developed again" in seen["retry"]
    assert len(seen["variants"]) == 8 and all(width for width, *_ in seen["variants"])
    assert "Traceback" not in shop.log()
