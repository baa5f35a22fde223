"""The campaign tags in the address of a page."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

TAGS: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
MOST_PARAMETERS: Final = 200


def utm_tags(url: str) -> dict[str, str]:
    """Return the tags of ``url`` by name, the first of each; nothing when it is no address."""
    if "utm_" not in url:
        return {}
    try:
        query = parse_qsl(urlsplit(url).query, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for name, value in query:
        if name in TAGS:
            found.setdefault(name, value)
    return found
