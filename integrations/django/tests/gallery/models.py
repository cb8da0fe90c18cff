from django.db import models
from django_tintype.fields import ProcessedImageField
from django_tintype.models import AbstractProcessedImage


class Photo(AbstractProcessedImage):
    """An image model of a project's own."""
    caption = models.CharField(max_length=100, default="untold")


class Profile(models.Model):
    name = models.CharField(max_length=100)
    photo = ProcessedImageField(preset="avatar")
