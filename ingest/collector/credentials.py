"""The write key in a request: HTTP basic user, bearer token or header, else the body."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any


def secret_in_headers(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the secret that the headers hold, None when there is none in a form that is known.

    Segment's libraries send it as the user of HTTP basic authentication, without a password.
    """
    own = headers.get(b"x-write-key")
    if own is not None:
        return own.decode("latin-1")
    scheme, _, rest = headers.get(b"authorization", b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip().decode("latin-1") or None
        case b"basic":
            try:
                user = base64.b64decode(rest, validate=True).partition(b":")[0]
            except binascii.Error:
                return None
            return user.decode("latin-1") or None
    return None


def secret_in_body(document: Any) -> str | None:
    """Return ``writeKey`` of a body, as a beacon sends it, which can set no header."""
    found = document.get("writeKey") if isinstance(document, dict) else None
    return found if isinstance(found, str) and found else None
