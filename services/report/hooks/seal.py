"""Secrets at rest: sealed with a key that is in a file, not in the database, so that neither a dump nor a reader of the
tables can sign as we do.

AES-256-GCM; what is sealed is bound to the endpoint that it is for.
"""

import base64
import binascii
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import InfraError, Refused
from shared.settings import Settings, secret

HOW = "make one with: (umask 077; head -c 32 /dev/urandom | base64 >FILE)"


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals and opens with one key."""

    key: AESGCM

    def close(self, ident: str, text: str) -> bytes:
        nonce = os.urandom(12)
        return nonce + self.key.encrypt(nonce, text.encode(), ident.encode())

    def open(self, ident: str, sealed: bytes) -> str:
        """Raises InfraError if it was sealed with another key, or for another endpoint."""
        try:
            return self.key.decrypt(sealed[:12], sealed[12:], ident.encode()).decode()
        except InvalidTag:
            raise InfraError(f"the secret of {ident} was sealed with another key than that of key_file") from None


def seal_of(settings: Settings) -> Seal | None:
    """With the configured key; None where none is configured. Raises Refused for a file that holds none."""
    if (file := settings.webhooks.key_file) is None:
        return None
    text = secret(file=file, what="webhooks.key_file")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise Refused(f"webhooks.key_file: {file} does not hold 32 bytes in base64; {HOW}")
    return Seal(AESGCM(key))
