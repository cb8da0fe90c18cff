"""What is seen: tags, the model field's form, the admin."""
import base64
import os
import statistics
import struct
import zlib
from html.parser import HTMLParser

import pytest
from conftest import URL, completed, failed, tell
from django.contrib.auth import get_user_model
from django.forms import modelform_factory
from django.template import engines
from django.urls import reverse
from gallery.models import Profile

from django_tintype.models import get_image_model
from django_tintype.thumbhash import placeholder

SWAPPED = bool(os.environ.get("WITH_MODEL"))


def render(text: str, **context) -> str:
    return engines["django"].from_string("{% load tintype %}" + text).render(context)


def tags(html: str) -> list[tuple[str, dict]]:
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(html)
    return found


@pytest.fixture
def done(image):
    tell(image, completed(image))
    image.refresh_from_db()
    return image


def test_a_variant_by_its_name(done):
    profile = Profile.objects.create(name="Ada", photo=done)
    assert render('{% variant p.photo "100x100" %}', p=profile) == profile.photo.url("100x100")
    assert render("{{ p.photo.urls.original }}", p=profile) == profile.photo.url()
    assert render('{% variant p.photo "nothing" %}{% variant none "100x100" %}', p=profile, none=None) == ""


def test_an_img_has_size_alt_and_placeholder(done):
    [(tag, attributes)] = tags(render('{% variant_img photo "100x100" alt=alt class="face" %}', photo=done, alt='"><script>'))
    assert tag == "img" and attributes["src"] == done.url("100x100") and attributes["alt"] == '"><script>'
    assert (attributes["width"], attributes["height"], attributes["class"], attributes["loading"]) == ("100", "75", "face", "lazy")
    assert attributes["style"].startswith("background: url(data:image/png;base64,")
    [(_, attributes)] = tags(render('{% variant_img photo "100x100" style="border: 0" loading="eager" %}', photo=done))
    assert attributes["style"].endswith("; border: 0") and attributes["loading"] == "eager"


def test_what_a_manifest_says_is_escaped(image):
    body = completed(image)
    body["variants"][0]["url"] = 'https://cdn.example.com/"><script>alert(1)</script>'
    tell(image, body)
    image.refresh_from_db()
    assert "<script>" not in render("{% variant_img photo %}{% variant photo %}", photo=image)


def test_behind_what_is_transparent_there_is_no_placeholder(image):
    body = completed(image)
    body["image"]["has_alpha"] = True
    tell(image, body)
    image.refresh_from_db()
    assert "style" not in tags(render("{% variant_img photo %}", photo=image))[0][1]


def test_while_there_is_nothing_nothing_is_shown(image):
    assert render("{% variant_img photo %}{% variant photo %}", photo=image) == ""


@pytest.mark.parametrize("code", ["", "AAAA", "1QcSHQRnh4==", "?", "é", "A" * 100])
def test_what_is_no_thumbhash_is_no_picture(code):
    assert placeholder(code) == ""


def test_a_placeholder_has_the_pictures_colour():
    """Waves even out: the mean of all pixels is what the thumbhash says of the whole."""
    code = "2/kFDYIIp5mPd3dxfXaHevWOiaAp"
    head = int.from_bytes(base64.b64decode(code)[:3], "little")
    lightness, p, q = (head & 63) / 63, (head >> 6 & 63) / 31.5 - 1, (head >> 12 & 63) / 31.5 - 1
    blue = lightness - p * 2 / 3
    red = (3 * lightness - blue + q) / 2
    png = base64.b64decode(placeholder(code).partition(",")[2])
    width, height = struct.unpack(">II", png[16:24])
    length = int.from_bytes(png[33:37], "big")
    rows = zlib.decompress(png[41:41 + length])
    assert (width, height) == (16, 11) and len(rows) == height * (width * 3 + 1)
    pixels = b"".join(rows[y * (width * 3 + 1) + 1:(y + 1) * (width * 3 + 1)] for y in range(height))
    for channel, wanted in enumerate((red, red - q, blue)):
        assert abs(statistics.mean(pixels[channel::3]) - 255 * wanted) < 2


def test_a_form_takes_an_uploads_uuid(client, image, done):
    form = modelform_factory(Profile, fields=["name", "photo"])
    [(_, hidden), (_, file)] = [one for one in tags(str(form()["photo"])) if one[0] == "input"]
    assert (hidden["type"], hidden["name"], hidden.get("value")) == ("hidden", "photo", None)
    assert (file["type"], file["accept"], file["id"]) == ("file", "image/*", "id_photo") and file["name"] == "photo-chosen"
    box = tags(str(form()["photo"]))[0][1]
    assert box["data-presignedurl"] == "/async_image_upload/presignedurl/" and box["data-preset"] == "avatar"
    assert "django_tintype/upload.js" in str(form().media)
    value = client.get(f"{URL}{image.uuid.hex}/").json()["form_value"]
    profile = form({"name": "Ada", "photo": value}).save()
    assert profile.photo.pk == image.pk
    assert [one for one in tags(str(form(instance=profile)["photo"])) if one[0] == "img"]
    for hostile in ("a" * 32, '"><b>'):
        assert not form({"name": "Ada", "photo": hostile}).is_valid()
        assert "<b>" not in str(form({"name": "Ada", "photo": hostile})["photo"])
    assert form({"name": "Ada", "photo": ""}, instance=profile).save().photo is None


def test_a_profile_outlives_its_photo(done):
    profile = Profile.objects.create(name="Ada", photo=done)
    done.delete()
    profile.refresh_from_db()
    assert profile.photo is None


@pytest.mark.skipif(SWAPPED, reason="a model of one's own has the admin that its project gives it")
def test_the_admin_shows_thumbnails_and_reasons(client, ada, done):
    ada.is_staff = ada.is_superuser = True
    ada.save()
    broken = get_image_model().objects.create(user=get_user_model().objects.create_user("bob"))
    tell(broken, failed(broken))
    page = client.get(reverse("admin:async_image_upload_processedimage_changelist")).content.decode()
    assert [attributes["src"] for tag, attributes in tags(page) if tag == "img" and "cdn" in attributes["src"]] == [done.url("100x100")]
    assert "corrupt: it is cut off" in page and "Develop the original again" not in page, "there is no server"
    page = client.get(reverse("admin:async_image_upload_processedimage_change", args=[done.pk])).content.decode()
    assert done.url("original") in page and "credential" not in page
    assert client.get(reverse("admin:async_image_upload_processedimage_add")).status_code == 403
    assert client.get(reverse("admin:async_image_upload_processedimage_changelist"), {"q": done.uuid.hex[:12]}).status_code == 200


def test_the_thumbnail_is_the_smallest_that_is_large_enough(image):
    body = completed(image, "50x50", "100x100", "100x100_blurred", "400x400")
    for one, side in zip(body["variants"], (50, 100, 100, 400), strict=True):
        one["width"] = one["height"] = side
    tell(image, body)
    image.refresh_from_db()
    assert image.thumbnail["name"] == "100x100"
