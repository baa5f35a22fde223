"""What a panel is: one query over a mart, the filters it knows, and how its columns are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from serving.dashboard.answers import Question
from serving.dashboard.filters import Filters, Period, where
from serving.dashboard.mart import Mart

Kind = Literal["numbers", "lines", "bars", "heatmap", "funnel", "table"]
Form = Literal[
    "text", "count", "usd", "cost", "share", "number", "day", "moment", "clock", "seconds"
]
"""How a value is written: ``cost`` US dollars to a hundredth of a cent, ``moment`` a day and a time
of day in UTC, ``clock`` that time alone."""

LIVE_DATES = "{} >= $first"
IN_PERIOD = "{} between $first and $last"
IN_PERIOD_BEFORE = "{} between $before_first and $before_last"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as a person reads it."""

    name: str
    label: str
    form: Form = "count"


@dataclass(frozen=True, slots=True)
class Panel:
    """A query and how to show its rows."""

    name: str
    """Names it in addresses and files; unique over all pages."""
    title: str
    about: str
    """What is shown, and over what, in a sentence."""
    kind: Kind
    mart: Mart
    sql: str
    """Over ``{source}``, or ``{table}`` where it is not to be the live view; ``{where}`` is the
    condition of the filters, ``{before}`` the same for the period before, ``{of_tenant}`` that of
    the tenant alone at any time; ``{day}`` is the column of the period."""
    columns: tuple[Column, ...]
    width: Literal[1, 2, 3] = 3
    """In thirds of the page."""
    also_reads: tuple[str, ...] = ()

    def question(self, filters: Filters, period: Period, *, is_live: bool) -> Question:
        """Return the query of this panel for what was picked."""
        known = self.mart.columns
        values: dict[str, object] = {n: v for n, v in filters.picked if n in known}
        during = LIVE_DATES if self.mart.has_view else IN_PERIOD
        sql = self.sql.format(
            source=self.mart.source(is_live=is_live),
            where=where(known, filters.picked, during),
            before=where(known, filters.picked, IN_PERIOD_BEFORE),
            table=self.mart.reads,
            of_tenant=where(known, [one for one in filters.picked if one[0] == "tenant"], "true"),
            day=known.get("date", "null"),
        )
        days: dict[str, object] = {
            "first": period.first,
            "last": period.last,
            "before_first": period.before.first,
            "before_last": period.before.last,
            "by_hour": period.days <= 3,
        }
        if self.mart.has_view:
            days["first"] = period.last - timedelta(days=1)
        values |= {name: value for name, value in days.items() if f"${name}" in sql}
        return Question(
            sql, values, (self.mart.reads, *self.also_reads), self.mart.also_reads(is_live=is_live)
        )

    def unheeded(self, filters: Filters) -> list[str]:
        """Return the filters that are set and that this panel does not know."""
        return [name for name, _ in filters.picked if name not in self.mart.columns]
