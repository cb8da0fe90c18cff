"""Sent once an outcome is committed, with `image`. What a receiver raises is logged, and the outcome stays."""
from django.dispatch import Signal

image_completed = Signal()
image_failed = Signal()
