"""The filters of a page: read from its address, and turned into SQL with parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from serving.dashboard.errors import FilterError

DAYS: Final = 14
"""How many days a page shows when its address names none."""
MAX_DAYS: Final = 1100
MAX_LENGTH: Final = 200
DATES: Final = ("from", "to")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a user picked; what was not picked is not filtered."""

    first: date | None = None
    """First UTC day, included."""
    last: date | None = None
    """Last UTC day, included."""
    picked: tuple[tuple[str, str], ...] = ()
    """Other filters and their values, sorted by name."""

    def period(self, newest: date) -> Period:
        """Return the days to show: by default the last ``DAYS`` up to ``newest``."""
        last = self.last or max(newest, self.first or newest)
        return Period(self.first or last - timedelta(days=DAYS - 1), last)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from ``first`` to ``last``, both included, UTC."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """As many days, right before these."""
        step = timedelta(days=self.days)
        return Period(self.first - step, self.last - step)


def read_filters(query: Iterable[tuple[str, str]], known: Iterable[str]) -> Filters:
    """Read the filters of a page from the parameters of its address; empty ones are left out.

    Raises:
        FilterError: a name is not one of ``known``, ``from`` and ``to``, or is named twice, or its
            value is no day, or too long.
    """
    names = (*DATES, *known)
    found: dict[str, str] = {}
    for name, value in query:
        if name not in names:
            raise FilterError(
                f"this page has no filter {name[:40]!r}", hint=f"it has: {', '.join(names)}"
            )
        if name in found:
            raise FilterError(f"the filter {name} is there twice", hint="Name one value.")
        if len(value) > MAX_LENGTH:
            raise FilterError(f"the value of {name} is longer than {MAX_LENGTH} characters")
        if value:
            found[name] = value
    first, last = (_day(name, found.pop(name, None)) for name in DATES)
    if first and last and first > last:
        raise FilterError(f"from {first} is after to {last}", hint="Swap the two days.")
    if first and last and Period(first, last).days > MAX_DAYS:
        raise FilterError(f"that is more than {MAX_DAYS} days", hint="Choose a shorter period.")
    return Filters(first, last, tuple(sorted(found.items())))


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise FilterError(
            f"{name} is {text[:40]!r}, which is no day", hint="Write it as 2026-03-31."
        ) from error
    if not 2000 <= found.year <= 2200:
        raise FilterError(f"{name} is {found}, outside of the years 2000 to 2200")
    return found


def where(columns: Mapping[str, str], picked: Iterable[tuple[str, str]], dates: str) -> str:
    """Return the condition of a panel; the values stay parameters.

    Args:
        columns: the panel's column for each filter that it knows, ``date`` among them.
        picked: the filters that are set.
        dates: the condition on the column of the date, with ``{}`` for it.
    """
    parts = [dates.format(columns["date"])] if "date" in columns else []
    parts += [f"{columns[name]} = ${name}" for name, _ in picked if name in columns]
    return " and ".join(parts) or "true"
