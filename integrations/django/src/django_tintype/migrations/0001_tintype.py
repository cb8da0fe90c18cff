import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    # Not 0001_initial: a project that wrote migrations for what this replaces, under the same label, has that name applied.
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="ProcessedImage",
            fields=[
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("outcome", models.CharField(
                    choices=[("pending", "pending"), ("completed", "completed"), ("failed", "failed")],
                    db_index=True, default="pending", max_length=16, verbose_name="outcome")),
                ("credential", models.JSONField(blank=True, default=None, editable=False, null=True)),
                ("processed_key", models.CharField(blank=True, max_length=1024)),
                ("metadata", models.JSONField(blank=True, default=dict)),
                ("manifest", models.JSONField(blank=True, default=None, null=True)),
                ("error", models.JSONField(blank=True, default=None, null=True)),
                ("timestamp_created", models.DateTimeField(
                    db_index=True, default=django.utils.timezone.now, verbose_name="asked for")),
                ("timestamp_expire", models.DateTimeField(blank=True, null=True, verbose_name="can be sent until")),
                ("timestamp_completed", models.DateTimeField(blank=True, null=True, verbose_name="ended")),
                ("webhook_id", models.CharField(blank=True, editable=False, max_length=200)),
                ("webhook_timestamp", models.BigIntegerField(default=0, editable=False)),
                ("user", models.ForeignKey(
                    blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "verbose_name": "image",
                "verbose_name_plural": "images",
                "ordering": ["-timestamp_created"],
                "abstract": False,
                "swappable": "PROCESSED_IMAGE_MODEL",
            },
        ),
    ]
