"""What a form's field takes: one's own uploads that came to something, and what the form had."""
from datetime import timedelta

import pytest
from conftest import completed, failed, tell
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms import modelform_factory
from django.utils import timezone
from gallery.models import Profile
from test_pages import tags

from django_tintype import uploads
from django_tintype.forms import UploadField, form_value
from django_tintype.models import get_image_model

Form = modelform_factory(Profile, fields=["name", "photo"])


class Required(Form):  # type: ignore[misc, valid-type]
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.fields["photo"].required = self.fields["photo"].widget.is_required = True


def errors(data: dict, form=Form, files: dict | None = None, **options) -> list[str]:
    return form({"name": "Ada"} | data, files, **options).errors.get("photo", [])


def kept(profile) -> str:
    """What the form of a profile has in it."""
    [hidden] = [attributes for _, attributes in tags(str(Form(instance=profile)["photo"])) if attributes.get("type") == "hidden"]
    return hidden["value"]


def test_a_required_field_takes_an_upload(image):
    assert errors({}, Required) == errors({"photo": ""}, Required) == ["This field is required."]
    assert not errors({"photo": form_value(image)}, Required) and not errors({"photo": ""})
    [(_, file)] = [one for one in tags(str(Required()["photo"])) if one[1].get("type") == "file"]
    assert "required" in file
    profile = Profile.objects.create(name="Ada", photo=image)
    [(_, file)] = [one for one in tags(str(Required(instance=profile)["photo"])) if one[1].get("type") == "file"]
    assert "required" not in file, "there is one"


def test_anothers_upload_is_not_taken_by_its_id(image):
    bob = get_user_model().objects.create_user("bob")
    own, nobodys = uploads.create([uploads.NewUpload()] * 2, bob)[0], uploads.create()[0]
    for value in (image.uuid.hex, str(image.uuid), f"{image.uuid.hex}:{'A' * 43}", f"{image.uuid.hex}:{form_value(own).partition(':')[2]}"):
        assert errors({"photo": value}), value
    assert not errors({"photo": form_value(image)}) and not errors({"photo": nobodys.uuid.hex})

    class OfBob(Form):  # type: ignore[misc, valid-type]
        def __init__(self, *args, user=bob, **options):
            super().__init__(*args, **options)
            self.fields["photo"].user = user

    assert errors({"photo": image.uuid.hex}, OfBob) and not errors({"photo": own.uuid.hex}, OfBob)
    assert errors({"photo": own.uuid.hex}, lambda *given, **options: OfBob(*given, user=AnonymousUser(), **options))


def test_what_a_form_had_it_may_keep_and_a_refused_one_gains_nothing_by_being_shown_again(image):
    profile = Profile.objects.create(name="Ada", photo=image)
    value = kept(profile)
    assert not errors({"photo": value}, instance=profile) and not Form({"name": "Ada", "photo": value}, instance=profile).has_changed()
    bound = Form({"photo": image.uuid.hex})
    assert not bound.is_valid()
    [shown] = [attributes for tag, attributes in tags(str(bound["photo"])) if attributes.get("type") == "hidden"]
    assert shown["value"] == image.uuid.hex and errors({"photo": shown["value"]})
    [shown] = [attributes for tag, attributes in tags(str(Form(initial={"photo": image.uuid.hex})["photo"])) if attributes.get("type") == "hidden"]
    assert errors({"photo": shown["value"]}), "an address is no proof"


def test_an_upload_that_came_to_nothing_is_not_taken(image, ada):
    tell(image, failed(image))
    assert errors({"photo": form_value(image)}) == ["This file cannot be used: it is cut off"]
    # What was saved while it was pending does not keep the rest of the form from being saved; unless it has to be there.
    profile = Profile.objects.create(name="Ada", photo=image)
    assert not errors({"photo": kept(profile)}, instance=profile)
    assert errors({"photo": kept(profile)}, Required, instance=profile)
    late = uploads.create([uploads.NewUpload()], ada)[0]
    get_image_model().objects.filter(pk=late.pk).update(timestamp_expire=timezone.now() - timedelta(seconds=1))
    assert errors({"photo": form_value(late)}) == ["The file did not arrive. Choose it again."]
    tell(image, failed(image, "expired"), 2)
    assert errors({"photo": form_value(image)}) == ["The file was not saved in time, and is gone. Choose it again."]


def test_a_required_field_takes_none_that_never_arrived(image, server):
    value = {"photo": form_value(image)}
    assert not errors(value, Required) and server.asked == [("POST", f"/v1/uploads/{image.uuid.hex}/uploaded")]
    missing = ["The file did not arrive. Choose it again."]
    profile = Profile.objects.create(name="Ada", photo=image)
    for server.say in (uploads.Refused(409, "original_missing", "it is not there"), uploads.Refused(404, "not_found", "none"),
                       {"status": "expired"}):
        assert errors(value, Required) == errors({"photo": kept(profile)}, Required, instance=profile) == missing
    server.say = {"status": "failed", "error": {"code": "corrupt", "message": "it is cut off"}}
    assert errors(value, Required) == ["This file cannot be used: it is cut off"]
    server.say = uploads.Refused(503, "unavailable", "uploads are out of reach; try again", "5")
    assert not errors(value, Required), "nobody knows"
    asked = len(server.asked)
    assert not errors(value) and len(server.asked) == asked, "it need not be there"
    tell(image, completed(image))
    assert not errors(value, Required) and len(server.asked) == asked, "it is known"


def test_a_file_that_was_chosen_and_not_uploaded_is_no_empty_field(image):
    """Without JavaScript, or past it: a form without a file part says its name alone."""
    said = ["“a.jpg” was not uploaded. Choose it again, and wait until it is; that takes JavaScript."]
    assert errors({"photo": "", "photo-chosen": "a.jpg"}) == said
    assert errors({"photo": ""}, files={"photo-chosen": SimpleUploadedFile("a.jpg", b"pixels")}) == said
    profile = Profile.objects.create(name="Ada", photo=image)
    assert errors({"photo": kept(profile), "photo-chosen": "a.jpg"}, instance=profile) == said
    assert not errors({"photo": form_value(image), "photo-chosen": ""})


def test_a_completed_one_is_taken(image):
    tell(image, completed(image))
    assert Form({"name": "Ada", "photo": form_value(image)}).save().photo.pk == image.pk


@pytest.mark.parametrize("value", ["a" * 32, "x", ":", f"{'0' * 32}:", "\0", "é" * 40])
def test_what_is_no_upload_is_refused(db, value):
    assert errors({"photo": value}) == ["This upload cannot be used here. Choose the file again."]


def test_the_field_is_what_the_models_field_makes():
    assert isinstance(Form.base_fields["photo"], UploadField)
