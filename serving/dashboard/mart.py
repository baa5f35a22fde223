"""What a panel reads: a mart, or its live view with the mart to fall back on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LIVE_READS: Final = ("bronze.clickstream", "bronze.conversions", "bronze.registrations")


@dataclass(frozen=True, slots=True)
class Mart:
    """A table or view, and by what it can be filtered."""

    name: str
    """As it stands in SQL: ``gold.x``, ``live.x`` or ``ops.x``."""
    columns: Mapping[str, str]
    """Its column for each filter that it knows; ``date`` is that of the period."""
    table: str = ""
    """The Delta table behind a live view, which stands in for it where it cannot be asked."""
    bronze: tuple[str, ...] = ()
    """What a live view reads besides, where it is there."""

    @property
    def has_view(self) -> bool:
        """True when it is a live view, which may be missing where its table is there."""
        return bool(self.table)

    @property
    def is_shared(self) -> bool:
        """True when a tenant sees its own rows of it; what ``ops`` holds is of the whole lake."""
        return not self.name.startswith("ops.")

    @property
    def reads(self) -> str:
        """The Delta table behind it."""
        return self.table or self.name

    def source(self, *, is_live: bool) -> str:
        """Return what to select from."""
        return self.name if is_live else self.reads

    def also_reads(self, *, is_live: bool) -> tuple[str, ...]:
        """Return the tables that new rows come from, whether they are there or not."""
        return self.bronze if is_live else ()
