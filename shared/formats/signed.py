"""Signatures of webhooks: Standard Webhooks 1.0 (https://www.standardwebhooks.com), and GitHub's, which Gitea and
Forgejo send too.

Pure: bytes, a secret and a time in; a signature or a judgement out. Knows nothing of HTTP nor of what is signed.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
TOLERANCE = 300
"""Seconds by which a signed time may be off."""


def new_secret() -> str:
    """A secret by chance, as both sides keep it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key in a ``whsec_…`` secret. Raises ValueError for what is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("no secret of the form whsec_<base64 of 24 to 64 bytes>")
    return key


def sign(secret: str, ident: str, timestamp: int, body: bytes) -> str:
    """One signature for the header ``webhook-signature``."""
    signed = b".".join((ident.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode()


def verify(secret: str, ident: str, timestamp: str, signatures: str, body: bytes, now: float) -> str:
    """What is wrong with a call; "" if it is signed with `secret` and of now. `now` is in seconds of Unix time."""
    if not (ident and timestamp and signatures):
        return "webhook-id, webhook-timestamp and webhook-signature are needed"
    # Ten digits are enough for 2286; more is not worth a number that nobody can hold.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return "webhook-timestamp is no number of seconds"
    if abs(int(timestamp) - now) > TOLERANCE:
        return f"webhook-timestamp is more than {TOLERANCE // 60} minutes off"
    wanted = sign(secret, ident, int(timestamp), body)
    return "" if _among(wanted, signatures.split(" ")) else "the signature does not fit"


def verify_hub(secret: str, header: str, body: bytes) -> str:
    """The same for ``X-Hub-Signature-256: sha256=<hex>``, which signs the body alone."""
    wanted = "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()
    return "" if _among(wanted, [header.strip().lower()]) else "the signature does not fit"


def _among(wanted: str, given: Iterable[str]) -> bool:
    """Whether one is the wanted; how long it takes tells nothing of where they differ."""
    return any(hmac.compare_digest(wanted.encode(), one.encode("utf-8", "replace")) for one in given)


def fingerprint(*parts: str | bytes) -> bytes:
    """What a call is remembered by."""
    data = (part.encode("utf-8", "replace") if isinstance(part, str) else part for part in parts)
    return hashlib.sha256(b"\0".join(data)).digest()
