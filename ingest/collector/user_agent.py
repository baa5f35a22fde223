"""What a user agent says of browser, system and device, by ua-parser's list.

ua-parser names mobile editions apart (``Chrome Mobile``, ``Mobile Safari``); reports that group by
browser want the family, and the device has a column of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import ua_parser

from ingest.importer.user_agent import device_type

LONGEST: Final = 1_024
"""Characters that are looked at: a browser's user agent has some hundred."""

_FAMILIES: Final = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "HeadlessChrome": "Chrome",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "Opera Mini": "Opera",
}


@dataclass(frozen=True, slots=True)
class Client:
    """What is read from one user agent; None where it does not say."""

    browser: str | None = None
    """The family; ``bot`` for a crawler."""
    os: str | None = None
    device_type: str | None = None
    """desktop, mobile or tablet; None for a crawler or a program."""


@lru_cache(maxsize=8192)
def client_of(user_agent: str) -> Client:
    """Return what a user agent says."""
    read = ua_parser.parse(user_agent[:LONGEST])
    if read.device is not None and read.device.family == "Spider":
        return Client(browser="bot")
    if read.user_agent is None:
        return Client(os=None if read.os is None else read.os.family)
    family = read.user_agent.family
    return Client(
        browser=_FAMILIES.get(family, family),
        os=None if read.os is None else read.os.family,
        device_type=device_type(user_agent[:LONGEST]),
    )
