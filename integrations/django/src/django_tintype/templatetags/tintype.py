"""`{% load tintype %}`, then `{% variant profile.photo "100x100" %}` or `{% variant_img profile.photo "100x100" alt="Me" %}`."""
from typing import Any

from django import template
from django.forms.utils import flatatt
from django.utils.html import format_html

from ..models import AbstractProcessedImage
from ..thumbhash import placeholder

register = template.Library()


@register.simple_tag
def variant(image: AbstractProcessedImage | None, name: str = "original") -> str:
    """Its address; empty while there is none."""
    return image.url(name) if image else ""


@register.simple_tag
def variant_img(image: AbstractProcessedImage | None, name: str = "original", **attributes: Any) -> str:
    """An `<img>` that has its place, and something to see, before it is loaded. Nothing while there is no such variant."""
    found = image.variant(name) if image else None
    if image is None or found is None:
        return ""
    shown: dict[str, Any] = {"src": found["url"]}
    if found["width"] and found["height"]:
        shown |= {"width": found["width"], "height": found["height"]}
    shown |= {"alt": "", "loading": "lazy", "decoding": "async"}
    facts = image.facts()
    # Behind what is transparent, it would be seen for ever.
    if not facts.get("has_alpha") and (background := placeholder(str(facts.get("thumbhash") or ""))):
        shown["style"] = f"background: url({background}) 0 0 / 100% 100%"
    if "style" in attributes and "style" in shown:
        attributes["style"] = f"{shown['style']}; {attributes['style']}"
    return format_html("<img{}>", flatatt({**shown, **attributes}))
