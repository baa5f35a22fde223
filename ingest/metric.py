"""The definition of one metric: its name, its kind, its labels, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    """One sentence, for people; what a scrape calls HELP."""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in the unit of its name."""
