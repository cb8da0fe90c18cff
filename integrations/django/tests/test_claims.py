"""ASYNC_IMAGE_UPLOAD_CLAIM: once, after the commit, for whatever is saved; and never in the way of what is saved."""
import pytest
from django.db import transaction
from django.db.models.signals import post_init, post_save
from gallery.models import Profile

from django_tintype import claims, uploads
from django_tintype.server import Refused


@pytest.fixture
def claimed(monkeypatch):
    """Ids that were claimed. The app connects this as it gets ready, if the setting is there."""
    told = []
    monkeypatch.setattr(uploads, "claim", lambda image: told.append(image.uuid))
    claims.watch()
    yield told
    for signal in (post_init, post_save):
        assert signal.disconnect(sender=Profile, dispatch_uid="tintype.claims")


@pytest.mark.django_db(transaction=True)
def test_what_a_saved_row_has_is_claimed_once(claimed, image):
    profile = Profile.objects.create(name="Ada", photo=image)
    assert claimed == [image.uuid]
    profile.name = "Countess"
    profile.save()
    Profile.objects.get().save()
    assert claimed == [image.uuid], "it was claimed, and is the same"
    other = uploads.create([uploads.NewUpload()], image.user)[0]
    again = Profile.objects.get()
    again.photo = other
    again.save(update_fields=["name"])
    assert claimed == [image.uuid], "the photo was not saved"
    again.save(update_fields=["photo"])
    assert claimed == [image.uuid, other.uuid]
    later = Profile.objects.defer("photo").get()
    later.save()
    later.photo = None
    later.save()
    Profile.objects.create(name="no photo")
    assert claimed == [image.uuid, other.uuid]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_claimed(claimed, image):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Profile.objects.create(name="Ada", photo=image)
        1 / 0
    with transaction.atomic():
        Profile.objects.create(name="Ada", photo=image)
        assert claimed == []
    assert claimed == [image.uuid]


@pytest.mark.django_db(transaction=True)
def test_a_server_out_of_reach_is_no_reason_to_lose_the_row(claimed, image, monkeypatch, caplog):
    def out_of_reach(image):
        raise Refused(503, "unavailable", "uploads are out of reach; try again")

    monkeypatch.setattr(uploads, "claim", out_of_reach)
    Profile.objects.create(name="Ada", photo=image)
    assert Profile.objects.get().photo == image
    assert str(image.uuid) in caplog.text and "was not claimed" in caplog.text


def test_without_the_setting_nothing_listens():
    assert not any("tintype.claims" in str(receiver[0]) for receiver in post_save.receivers)
