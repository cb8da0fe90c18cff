"""Standard Webhooks: is a callback by somebody who holds one of our secrets, and of these minutes?"""
import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TOLERANCE = 300  # seconds, either way
LONGEST_ID = 200
MOST_SIGNATURES = 20


class Unverified(Exception):
    """Why a callback is not believed. Told to the sender: it names no secret."""


@dataclass(frozen=True)
class Proof:
    webhook_id: str
    timestamp: int


def key_of(secret: str) -> bytes:
    """The bytes of `whsec_` and base64.

    Raises ValueError, which does not repeat the secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("a secret is whsec_ and base64 of 24 to 64 bytes")
    return key


def verify(secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: float) -> Proof:
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not webhook_id or len(webhook_id) > LONGEST_ID or not webhook_id.isascii():
        raise Unverified("webhook-id is missing, or is none")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise Unverified("webhook-timestamp is missing, or is none")
    if abs(now - int(timestamp)) > TOLERANCE:
        raise Unverified("webhook-timestamp is more than five minutes away: look at both clocks")
    shown = [s[3:] for s in headers.get("webhook-signature", "").split(" ")[:MOST_SIGNATURES] if s.startswith("v1,")]
    if not shown:
        raise Unverified("webhook-signature is missing: give Tintype the secret of this project as callback.secret")
    signed = b"%s.%s.%s" % (webhook_id.encode(), timestamp.encode(), body)
    good = False
    for secret in secrets:
        wanted = base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256))
        for one in shown:
            good |= hmac.compare_digest(wanted, one.encode(errors="replace"))
    if not good:
        raise Unverified("webhook-signature is of another secret, or of another body")
    return Proof(webhook_id, int(timestamp))
