"""The secret of a write key, ``lw_<key id>_<random>``, and what is stored of it.

The key id is looked up, the whole secret is compared. It is random (160 bits), so that one salted
SHA-256 is enough and a slow hash would only slow the collector down: see docs/adr/080.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "lw"
KEY_ID_BYTES: Final = 5
RANDOM_BYTES: Final = 20
SALT_BYTES: Final = 16
LONGEST: Final = 200
"""Nothing longer is hashed: a client decides how long what it sends is."""


@dataclass(frozen=True, slots=True)
class SecretHash:
    """What is stored: it tells whether a secret is right, and cannot be turned back into one."""

    salt: bytes
    digest: bytes
    """SHA-256 of salt and secret."""

    @classmethod
    def of(cls, secret: str, salt: bytes) -> SecretHash:
        """Return what to store of ``secret``."""
        return cls(salt, _digest(salt, secret))

    def fits(self, secret: str) -> bool:
        """True for the secret that this is the hash of, after a time that tells nothing of it."""
        return hmac.compare_digest(self.digest, _digest(self.salt, secret))


NOBODYS: Final = SecretHash(bytes(SALT_BYTES), bytes(hashlib.sha256().digest_size))
"""Compared where no key has the id, so that an unknown key takes as long as a wrong one."""


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just made: the only moment it is known."""

    key_id: str
    secret: str
    hash: SecretHash


def new_secret(random: Callable[[int], bytes] = secrets.token_bytes) -> NewSecret:
    """Return a new secret; ``random`` gives so many random bytes."""
    key_id = _text(random(KEY_ID_BYTES))
    secret = f"{PREFIX}_{key_id}_{_text(random(RANDOM_BYTES))}"
    return NewSecret(key_id, secret, SecretHash.of(secret, random(SALT_BYTES)))


def key_id_of(secret: str) -> str | None:
    """Return the key id that a secret names; None for what has not the form of one."""
    if len(secret) > LONGEST:
        return None
    prefix, _, rest = secret.partition("_")
    key_id, _, random = rest.partition("_")
    return key_id if prefix == PREFIX and key_id and random else None


def _text(data: bytes) -> str:
    """Return lower-case base 32, which no shell, URL or header needs to quote."""
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _digest(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogatepass")).digest()
