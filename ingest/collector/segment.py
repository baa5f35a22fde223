"""Segment's HTTP API: a message of it as a payload of ``app_events``.

The protocol is https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/ and
https://segment.com/docs/connections/spec/common/; docs/guides/collect.md has the mapping as a
table.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Final

from ingest.collector import reasons
from ingest.collector.request_context import RequestContext, micros_as_text
from ingest.collector.verdict import Rejected
from ingest.contracts.fit import fit_of
from ingest.contracts.model import Field
from ingest.contracts.reasons import INVALID_REQUIRED, MISSING_REQUIRED, NOT_AN_OBJECT

CONTRACT: Final = "app_events"

TYPES: Final = {
    "track": None,
    "page": "page_view",
    "screen": "screen_view",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}
"""The types of messages, and the ``event_type`` that each becomes; a track names its own."""

PATHS: Final[tuple[tuple[str, str | None], ...]] = (
    ("/v1/track", "track"),
    ("/v1/page", "page"),
    ("/v1/screen", "screen"),
    ("/v1/identify", "identify"),
    ("/v1/group", "group"),
    ("/v1/alias", "alias"),
    ("/v1/batch", None),
    ("/v1/import", None),
    ("/v1/t", "track"),
    ("/v1/p", "page"),
    ("/v1/s", "screen"),
    ("/v1/i", "identify"),
    ("/v1/g", "group"),
    ("/v1/a", "alias"),
    ("/v1/b", None),
)
"""The paths and the type of the message in each; None for a batch, whose messages name theirs. The
short ones are those that analytics.js sends to."""

SERVER_LIBRARIES: Final = frozenset(
    {
        "analytics-python",
        "@segment/analytics-node",
        "analytics-node",
        "analytics-ruby",
        "analytics-go",
        "analytics-java",
        "analytics-php",
        "Analytics.NET",
        "analytics-rust",
    }
)
"""``context.library.name`` of libraries that run on servers: the address and user agent of their
requests are the server's, not the visitor's."""

_MOBILE_LIBRARIES: Final = ("ios", "android", "swift", "kotlin", "react-native", "flutter")
_KNOWN: Final = frozenset(
    {
        "type",
        "messageId",
        "anonymousId",
        "userId",
        "event",
        "name",
        "category",
        "properties",
        "traits",
        "groupId",
        "previousId",
        "context",
        "timestamp",
        "originalTimestamp",
        "sentAt",
        "writeKey",
        "channel",
        "receivedAt",
    }
)
_CAMPAIGN: Final = {
    "source": "utm_source",
    "medium": "utm_medium",
    "name": "utm_campaign",
    "term": "utm_term",
    "content": "utm_content",
}
_MICROS: Final = fit_of(Field("at", "at", "timestamp"))


def new_id() -> str:
    """Return an event id for a message that has none."""
    return uuid.uuid4().hex


def is_from_server(message: dict[str, Any]) -> bool:
    """True when a library for servers sent the message."""
    library = _object(_object(message, "context"), "library")
    return library.get("name") in SERVER_LIBRARIES


def payload_of(
    message: object,
    request: RequestContext,
    *,
    sent_at: object = None,
    message_type: str | None = None,
    make_id: Callable[[], str] = new_id,
) -> dict[str, Any] | Rejected:
    """Return the payload of ``app_events`` that a message becomes, or why it becomes none.

    Args:
        message: one message of the API.
        request: the request that brought it.
        sent_at: ``sentAt`` of the batch it came in.
        message_type: what the path says that it is; None: the message says so itself.
        make_id: the id of a message without ``messageId``.
    """
    if not isinstance(message, dict):
        return Rejected(NOT_AN_OBJECT, "the message is no object", None, CONTRACT)
    event_id = message.get("messageId")
    if not isinstance(event_id, str) or not event_id:
        event_id = make_id()
    kind = message_type or message.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        detail = f"type is none of {', '.join(TYPES)}"
        return Rejected(reasons.UNKNOWN_TYPE, detail, event_id, CONTRACT)
    name = TYPES[kind] or message.get("event")
    if not isinstance(name, str) or not name:
        detail = "event, the name of what happened, is missing or no text"
        return Rejected(MISSING_REQUIRED, detail, event_id, CONTRACT)
    sent = _first(message.get("sentAt"), sent_at)
    occurred_at = _occurred_at(message, sent, request.received_micros)
    if occurred_at is None:
        detail = "timestamp is not a string like 2025-06-30T12:00:00.123Z"
        return Rejected(INVALID_REQUIRED, detail, event_id, CONTRACT)
    payload: dict[str, Any] = {
        "event_id": event_id,
        "event_type": name,
        "occurred_at": occurred_at,
    }
    if sent is not None:
        payload["sent_at"] = sent
    for column, member in (("user_id", "userId"), ("device_id", "anonymousId")):
        value = _identity(message.get(member))
        if value is not None:
            payload[column] = value
    properties = _properties(message, kind)
    if properties:
        payload["properties"] = properties
    if kind == "screen" and isinstance(message.get("name"), str):
        payload["screen_name"] = message["name"]
    _add_context(payload, message, kind)
    return payload


def _occurred_at(message: dict[str, Any], sent: object, received: int) -> str | None:
    """Return when it happened, with the sender's clock set right.

    ``timestamp = receivedAt - (sentAt - originalTimestamp)``: what the sender's clock is off, it
    is off in both of its times. The way of the request counts as the clock's error.
    Source: https://segment.com/docs/connections/spec/common/#timestamp-overview
    """
    claimed = _first(message.get("originalTimestamp"), message.get("timestamp"))
    if claimed is None:
        return micros_as_text(received)
    at = _MICROS(claimed) if isinstance(claimed, str) else None
    if not isinstance(at, int):
        return None
    sent_at = _MICROS(sent) if isinstance(sent, str) else None
    if not isinstance(sent_at, int):
        return claimed if isinstance(claimed, str) else None
    try:
        return micros_as_text(received - (sent_at - at))
    except OverflowError:
        return None


def _properties(message: dict[str, Any], kind: str) -> dict[str, Any]:
    if kind in ("identify", "group"):
        found = dict(_object(message, "traits"))
    else:
        found = dict(_object(message, "properties"))
    if kind == "group" and message.get("groupId") is not None:
        found["groupId"] = message["groupId"]
    if kind == "alias" and message.get("previousId") is not None:
        found["previousId"] = message["previousId"]
    if kind in ("page", "screen"):
        for member in ("name", "category"):
            if message.get(member) is not None:
                found.setdefault(member, message[member])
    return found


def _add_context(payload: dict[str, Any], message: dict[str, Any], kind: str) -> None:
    """Fill the columns that Segment's context has something for, and keep the rest of it."""
    context = dict(_object(message, "context"))
    page = dict(_object(context, "page"))
    properties = payload.get("properties") or {}
    _move(payload, "user_agent", context, "userAgent")
    _move(payload, "ip", context, "ip")
    _move(payload, "page_url", page, "url")
    _move(payload, "referrer", page, "referrer")
    if kind == "page":
        for column, member in (("page_url", "url"), ("referrer", "referrer")):
            if isinstance(properties.get(member), str):
                payload.setdefault(column, properties[member])
    campaign = dict(_object(context, "campaign"))
    for member, column in _CAMPAIGN.items():
        _move(payload, column, campaign, member)
    for member, left in (("page", page), ("campaign", campaign)):
        if left:
            context[member] = left
        elif isinstance(context.get(member), dict):
            del context[member]
    channel = _channel(message, context, payload)
    if channel is not None:
        payload["channel"] = channel
    other = {name: value for name, value in message.items() if name not in _KNOWN and value}
    if other:
        context["message"] = other
    if context:
        payload["context"] = context


def _channel(
    message: dict[str, Any], context: dict[str, Any], payload: dict[str, Any]
) -> str | None:
    library = str(_object(context, "library").get("name") or "")
    if library in SERVER_LIBRARIES:
        return "server"
    if message.get("type") == "screen" or any(name in library for name in _MOBILE_LIBRARIES):
        return "mobile"
    if library.startswith("analytics.js") or "page_url" in payload:
        return "web"
    return None


def _move(payload: dict[str, Any], column: str, source: dict[str, Any], member: str) -> None:
    """Move a member that is text into a column; anything else stays where it is."""
    if isinstance(source.get(member), str):
        value = source.pop(member)
        if value:
            payload[column] = value


def _identity(value: object) -> str | None:
    """Return a user or device id as text; Segment's libraries also send numbers."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _object(parent: dict[str, Any], member: str) -> dict[str, Any]:
    value = parent.get(member)
    return value if isinstance(value, dict) else {}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)
