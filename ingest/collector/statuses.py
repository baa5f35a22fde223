"""Every status that the collector answers, and what a client does then."""

from __future__ import annotations

from typing import Final

SOME_REJECTED: Final = "Some events are accepted, the others are rejected for ever."

COMMON: Final[dict[int, str]] = {
    200: "Every event is durable.",
    400: "The request is no JSON, no gzip stream, or holds no events.",
    401: "No write key, or one that is not known or has ended.",
    403: "The tenant is not active.",
    405: "Another method than POST or OPTIONS.",
    408: "The request was not complete in time. Sent without reading further; the connection ends.",
    413: "The body is too large, or holds too many events.",
    415: "Content-Encoding is neither gzip nor identity.",
    429: "More requests a second than the quota allows. Send it again after Retry-After seconds.",
    431: "The request's head is larger than 32 KiB. The connection ends.",
    500: "The collector failed. Send it again: what was taken twice becomes one.",
    503: "Too much at once, or Kafka is away and the disk is full, or the registry of write keys "
    "is away for too long. Send again after Retry-After.",
}

ANALYTICS: Final[dict[int, str]] = {
    **COMMON,
    207: SOME_REJECTED,
    422: "Every event is rejected. Sending it again does not help.",
}

SEGMENT: Final[dict[int, str]] = {
    **COMMON,
    200: "At least one event is durable; the body has the verdict on each.",
    400: "The request is no JSON, no gzip stream, or holds no events; or every event is rejected.",
}

READ: Final[dict[int, str]] = {
    200: "What was asked for.",
    404: "There is no such page, or, for settings, no such write key.",
    405: "Another method than GET.",
    503: "`/readyz`: no event can be taken now. Settings: the registry is away for too long.",
}
