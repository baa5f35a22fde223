"""Why a message is a dead letter: every reason, named once."""

from __future__ import annotations

from typing import Final, Literal, get_args

Reason = Literal[
    "tombstone",
    "not_utf8",
    "not_json",
    "not_an_object",
    "missing_required",
    "invalid_required",
    "unknown_tenant",
]
"""The reasons in the order they are looked for: a message gets the first that holds."""

TOMBSTONE: Final = "tombstone"
"""The message has no value: on a compacted topic it deletes a key, which no event can mean."""

NOT_UTF8: Final = "not_utf8"
"""The bytes are not UTF-8; the detail names the first offending byte."""

NOT_JSON: Final = "not_json"
"""The text is not JSON (RFC 8259), or nests deeper than lakeward reads."""

NOT_AN_OBJECT: Final = "not_an_object"
"""JSON, but a list, a string, a number, true, false or null instead of an object."""

MISSING_REQUIRED: Final = "missing_required"
"""A required member is absent or null; the detail names each."""

INVALID_REQUIRED: Final = "invalid_required"
"""A required member does not fit its type; the detail names each and the type."""

UNKNOWN_TENANT: Final = "unknown_tenant"
"""``tenant_id`` is none of the known tenants: those that ``LAKEWARD_TENANTS`` names or, without
it, that are active in the registry."""

REASONS: tuple[Reason, ...] = get_args(Reason)
"""Every reason, in the order they are looked for."""
