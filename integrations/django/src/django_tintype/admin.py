from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from . import conf, uploads
from .models import AbstractProcessedImage, ProcessedImage
from .server import Refused
from .templatetags.tintype import variant_img

SMALL = "max-width: 100px; max-height: 75px; width: auto; height: auto"


class ProcessedImageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Register it for your own model too, where PROCESSED_IMAGE_MODEL names one."""

    list_display = ["preview", "uuid", "user", "status", "why", "timestamp_created", "timestamp_completed"]
    list_display_links = ["preview", "uuid"]
    list_filter = ["outcome", "timestamp_created"]
    list_select_related = ["user"]
    search_fields = ["uuid", "processed_key"]
    date_hierarchy = "timestamp_created"
    actions = ["retry", "erase"]
    readonly_fields = ["status", "why", "all_variants", "uuid", "user", "processed_key", "metadata", "manifest",
                       "timestamp_created", "timestamp_expire", "timestamp_completed"]
    exclude = ["outcome", "error"]

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = [name for name in self.get_fields(request, obj) if name != "manifest"]
        return [(None, {"fields": shown}), ("Manifest", {"fields": ["manifest"], "classes": ["collapse"]})]

    # The actions take a server; Django leaves out those that are not permitted.
    def has_retry_permission(self, request: HttpRequest) -> bool:
        return bool(conf.server()) and self.has_change_permission(request)

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return bool(conf.server()) and self.has_delete_permission(request)

    @admin.display(description="")
    def preview(self, image: AbstractProcessedImage) -> str:
        found = image.thumbnail
        return variant_img(image, found["name"], style=SMALL, alt="") if found else "–"

    @admin.display(description="error")
    def why(self, image: AbstractProcessedImage) -> str:
        return "{code}: {message}".format_map({"code": "", "message": "", **image.error}) if image.error else ""

    @admin.display(description="variants")
    def all_variants(self, image: AbstractProcessedImage) -> SafeString:
        return format_html_join("", '<p><a href="{}">{}</a> {}<br>{}</p>', (
            (v["url"], v["name"], f"{v['width']}×{v['height']}" if v["width"] else "",
             variant_img(image, v["name"], style="max-width: 400px; height: auto", alt=""))
            for name in image.variants if (v := image.variant(name))))

    @admin.action(description="Develop the original again", permissions=["retry"])
    def retry(self, request: HttpRequest, chosen: QuerySet[AbstractProcessedImage]) -> None:
        self._each(request, chosen, uploads.retry, "will be developed again; what comes of it is shown here once it is told")

    @admin.action(description="Delete, with every variant in the store", permissions=["erase"])
    def erase(self, request: HttpRequest, chosen: QuerySet[AbstractProcessedImage]) -> None:
        self._each(request, chosen, uploads.erase, "deleted, here and in the store")

    def _each(self, request: HttpRequest, chosen: QuerySet[AbstractProcessedImage],
              do: Callable[[AbstractProcessedImage], None], said: str) -> None:
        done = 0
        for image in chosen[:uploads.MOST_AT_ONCE]:
            try:
                do(image)
                done += 1
            except Refused as why:
                self.message_user(request, f"{image}: {why.detail}", messages.ERROR)
        if done:
            self.message_user(request, f"{done} {said}.")


if not ProcessedImage._meta.swapped:
    admin.site.register(ProcessedImage, ProcessedImageAdmin)
