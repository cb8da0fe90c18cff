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
    actions = ["retry"]
    readonly_fields = ["status", "why", "all_variants", "uuid", "user", "processed_key", "metadata", "manifest",
                       "timestamp_created", "timestamp_expire", "timestamp_completed"]
    exclude = ["outcome", "error"]

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        if not conf.server():
            actions.pop("retry", None)
        return actions

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

    @admin.action(description="Develop the original again", permissions=["change"])
    def retry(self, request: HttpRequest, chosen: QuerySet[AbstractProcessedImage]) -> None:
        asked = 0
        for image in chosen[:uploads.MOST_AT_ONCE]:
            try:
                uploads.retry(image)
                asked += 1
            except Refused as why:
                self.message_user(request, f"{image}: {why.detail}", messages.ERROR)
        if asked:
            self.message_user(request, f"{asked} will be developed again; what comes of it is shown here once it is told.")


if not ProcessedImage._meta.swapped:
    admin.site.register(ProcessedImage, ProcessedImageAdmin)
