"""Takes over the rows of django-async-image-upload, as its models made them."""
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, router
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ...models import AbstractProcessedImage, Status, get_image_model

AT_ONCE = 500


class Command(BaseCommand):
    help = "Copies the ended uploads and images of django-async-image-upload. It may be run again: what is there stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--presignedurl-table", default="presignedurl")
        parser.add_argument("--processedimage-table", default="processedimage")

    def handle(self, *_: Any, presignedurl_table: str, processedimage_table: str, **__: Any) -> None:
        model = get_image_model()
        database = router.db_for_write(model)
        there = set(connections[database].introspection.table_names())
        tables = [table for table in (presignedurl_table, processedimage_table) if table in there]
        if not tables:
            raise CommandError(f"There is no table {presignedurl_table} or {processedimage_table}: name them by the options.")
        before = model._default_manager.using(database).count()
        for table in tables:
            chunk: list[AbstractProcessedImage] = []
            for row in _rows(database, table):
                if image := _image(model, row):
                    chunk.append(image)
                if len(chunk) == AT_ONCE:
                    model._default_manager.using(database).bulk_create(chunk, ignore_conflicts=True)
                    chunk = []
            model._default_manager.using(database).bulk_create(chunk, ignore_conflicts=True)
        self.stdout.write(f"{model._default_manager.using(database).count() - before} images taken over from {' and '.join(tables)}")


def _rows(database: str, table: str) -> Iterator[dict[str, Any]]:
    connection = connections[database]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(AT_ONCE):
            for row in rows:
                yield dict(zip(names, row, strict=True))


def _image(model: type[AbstractProcessedImage], row: dict[str, Any]) -> AbstractProcessedImage | None:
    """None for an upload that has not ended: its client cannot end it any more."""
    error = _json(row.get("error"))
    if not row.get("processed_key") and not error:
        return None
    failed = {"code": "processing_failed", "message": error if isinstance(error, str) else json.dumps(error)}
    completed = bool(row["processed_key"])
    return model(
        uuid=UUID(str(row["uuid"])), user_id=row.get("user_id"), metadata=_json(row.get("metadata")) or {},
        outcome=Status.COMPLETED if completed else Status.FAILED, error=None if completed else failed,
        processed_key=row["processed_key"] or "", timestamp_created=_time(row.get("timestamp_created")) or timezone.now(),
        timestamp_completed=_time(row.get("timestamp_completed")))


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _time(value: Any) -> datetime | None:
    found = parse_datetime(value) if isinstance(value, str) else value
    return timezone.make_aware(found) if isinstance(found, datetime) and timezone.is_naive(found) else found
