"""A rough reading of user agents: the family of the browser and the kind of device.

Rough on purpose: a few rules that hold for most visitors, not a database of every device. A
crawler has the browser ``bot`` and no device.
"""

from __future__ import annotations

import re
from typing import Final

_BOT: Final = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|feed|fetch|monitor|curl|wget|python|java/|perl|ruby|"
    r"go-http|libwww|validator|http-client|reader|scan",
    re.IGNORECASE,
)
_TABLET: Final = re.compile(r"ipad|tablet|kindle|silk|playbook|android(?!.*mobile)", re.IGNORECASE)
_MOBILE: Final = re.compile(
    r"mobi|iphone|ipod|android|blackberry|windows phone|opera mini", re.IGNORECASE
)
_BROWSERS: Final = (
    ("Edge", re.compile(r"Edge?/|EdgA/|EdgiOS/")),
    ("Opera", re.compile(r"OPR/|Opera")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/")),
    ("Firefox", re.compile(r"Firefox/|FxiOS/|Iceweasel/")),
    ("Chrome", re.compile(r"Chrome/|CriOS/|Chromium/")),
    ("Internet Explorer", re.compile(r"MSIE |Trident/")),
    ("Safari", re.compile(r"Safari/|AppleWebKit/.*Mobile")),
)


def browser(user_agent: str) -> str:
    """Return the browser's family, ``bot`` for a crawler or a program, ``other`` if unknown."""
    if _BOT.search(user_agent):
        return "bot"
    return next((name for name, known in _BROWSERS if known.search(user_agent)), "other")


def device_type(user_agent: str) -> str | None:
    """Return desktop, mobile or tablet; None for a crawler or a program."""
    if _BOT.search(user_agent):
        return None
    if _TABLET.search(user_agent):
        return "tablet"
    return "mobile" if _MOBILE.search(user_agent) else "desktop"
