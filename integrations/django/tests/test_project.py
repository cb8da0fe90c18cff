"""Checks, migrations, and the way over from django-async-image-upload."""
import io
import os
import uuid

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection

from django_tintype.models import get_image_model

pytestmark = pytest.mark.django_db  # some of Django's own checks look at the database

TABLES = """
CREATE TABLE presignedurl (id {serial}, uuid {uuid} NOT NULL, user_id integer, credential {json}, processed_key varchar(256),
  timestamp_created {time}, timestamp_expire {time}, timestamp_completed {time}, metadata {json}, error {json});
CREATE TABLE processedimage (id {serial}, uuid {uuid} NOT NULL, user_id integer, processed_key varchar(256), metadata {json})
"""
POSTGRES = {"serial": "bigserial PRIMARY KEY", "uuid": "uuid", "json": "jsonb", "time": "timestamptz"}
SQLITE = {"serial": "integer PRIMARY KEY", "uuid": "char(32)", "json": "text", "time": "datetime"}


def said(**_) -> set[str]:
    return {message.id for message in run_checks() if (message.id or "").startswith("tintype.")}


def test_a_project_that_is_whole_has_nothing_to_mend():
    assert said() == set()


@pytest.mark.parametrize("given, wanted", [
    ({"BUCKET": ""}, "tintype.E001"), ({"SERVER": "http://127.0.0.1:8000"}, "tintype.E002"),
    ({"BUCKET": "", "SERVER": "127.0.0.1:8000"}, "tintype.E003"), ({"CALLBACK_SECRETS": ["whsec_short"]}, "tintype.E005"),
    ({"CALLBACK_SECRETS": "secret"}, "tintype.E005"), ({"UNSIGNED_CALLBACKS": True}, "tintype.W001"),
    ({"CALLBACK_SECRETS": []}, "tintype.W002"), ({"PERMISSION": "nowhere.at_all"}, "tintype.E008")])
def test_checks_say_what_to_mend(settings, given, wanted):
    for name, value in given.items():
        setattr(settings, f"ASYNC_IMAGE_UPLOAD_{name}", value)
    assert wanted in said()
    assert all(message.hint and "whsec_short" not in str(message) for message in run_checks() if message.id == wanted)


def test_urls_that_are_not_there_are_said(settings):
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert "tintype.W003" in said()


@pytest.mark.parametrize("model, wanted", [("gallery.Profile", "tintype.E007"), ("gallery.Nothing", "tintype.E006")])
def test_a_model_that_is_none_is_said(settings, model, wanted):
    settings.PROCESSED_IMAGE_MODEL = model
    assert wanted in said()


def test_the_model_in_force_is_the_one_that_is_set():
    assert get_image_model()._meta.label == (os.environ.get("WITH_MODEL") or "async_image_upload.ProcessedImage")


def test_migrations_are_complete():
    call_command("makemigrations", "--check", "--dry-run", stdout=io.StringIO())
    assert (get_image_model()._meta.db_table in connection.introspection.table_names())
    swapped = bool(os.environ.get("WITH_MODEL"))
    assert ("async_image_upload_processedimage" in connection.introspection.table_names()) is not swapped


def test_old_rows_are_taken_over(ada):
    done, broken, pending, alone = (uuid.uuid4() for _ in range(4))
    as_stored = str if connection.vendor == "postgresql" else (lambda one: one.hex)
    with connection.cursor() as cursor:
        for table in TABLES.format(**(POSTGRES if connection.vendor == "postgresql" else SQLITE)).split(";"):
            cursor.execute(table)
        for one, key, error in ((done, "image/a.jpg", "null"), (broken, "", '{"code": 7}'), (pending, "", "null")):
            cursor.execute("INSERT INTO presignedurl (uuid, user_id, credential, processed_key, timestamp_created, timestamp_completed, "
                           "metadata, error) VALUES (%s, %s, '{}', %s, '2021-06-01 10:00:00', '2021-06-01 10:00:05', '{\"id\": \"1\"}', %s)",
                           [as_stored(one), ada.pk, key, error])
        for one, key in ((done, "image/a.jpg"), (alone, "image/2021/b.c.png")):
            cursor.execute("INSERT INTO processedimage (uuid, user_id, processed_key, metadata) VALUES (%s, NULL, %s, '{}')",
                           [as_stored(one), key])
    for taken in (3, 0):
        out = io.StringIO()
        call_command("import_async_image_upload", stdout=out)
        assert out.getvalue() == f"{taken} images taken over from presignedurl and processedimage\n"
    images = get_image_model().objects.in_bulk()
    assert set(images) == {done, broken, alone}
    assert images[done].user == ada and images[done].metadata == {"id": "1"} and images[done].timestamp_created.year == 2021
    assert images[done].url("50x50") == "https://photos.s3.eu-west-1.amazonaws.com/image/a_50x50.jpg"
    assert images[alone].url("400x400_blurred").endswith("/image/2021/b.c_400x400_blurred.png")
    assert images[broken].status == "failed" and images[broken].error["message"] == '{"code": 7}'


def test_no_old_rows_are_said():
    with pytest.raises(CommandError, match="There is no table presignedurl"):
        call_command("import_async_image_upload")
