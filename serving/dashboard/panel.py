"""What a panel is: one query over a mart, the filters it knows, and how its columns are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from serving.dashboard.answers import Question
from serving.dashboard.filters import Filters, Period, where

Kind = Literal["numbers", "lines", "bars", "heatmap", "funnel", "table"]
Form = Literal["text", "count", "usd", "cost", "share", "number", "day", "moment", "seconds"]
"""How a value is written; ``cost`` is US dollars to a hundredth of a cent."""

LIVE_READS = ("bronze.clickstream", "bronze.conversions", "bronze.registrations")
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
class Mart:
    """What a panel reads."""

    name: str
    """As it stands in SQL: ``gold.x``, ``live.x`` or ``ops.x``."""
    columns: Mapping[str, str]
    """Its column for each filter that it knows; ``date`` is that of the period."""
    table: str = ""
    """The Delta table behind a live view, which stands in for it where there are none."""
    bronze: tuple[str, ...] = ()
    """What a live view reads besides."""

    @property
    def is_shared(self) -> bool:
        """True when a tenant sees its own rows of it; what ``ops`` holds is of the whole lake."""
        return not self.name.startswith("ops.")

    def source(self, has_live: bool) -> str:
        """Return what to select from."""
        return self.table if self.table and not has_live else self.name

    def reads(self, has_live: bool) -> tuple[str, ...]:
        """Return the Delta tables behind it, the mart first."""
        return (self.table or self.name, *(self.bronze if has_live else ()))


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
    """Over ``{source}``; ``{where}`` is the condition of the filters, ``{before}`` the same for the
    period before."""
    columns: tuple[Column, ...]
    width: Literal[1, 2, 3] = 3
    """In thirds of the page."""
    also_reads: tuple[str, ...] = ()

    def question(self, filters: Filters, period: Period, *, has_live: bool) -> Question:
        """Return the query of this panel for what was picked."""
        known = self.mart.columns
        values: dict[str, object] = {n: v for n, v in filters.picked if n in known}
        during = LIVE_DATES if self.mart.table else IN_PERIOD
        sql = self.sql.format(
            source=self.mart.source(has_live),
            where=where(known, filters.picked, during),
            before=where(known, filters.picked, IN_PERIOD_BEFORE),
        )
        days: dict[str, object] = {
            "first": period.first,
            "last": period.last,
            "before_first": period.before.first,
            "before_last": period.before.last,
            "by_hour": period.days <= 3,
        }
        if self.mart.table:
            days["first"] = period.last - timedelta(days=1)
        values |= {name: value for name, value in days.items() if f"${name}" in sql}
        return Question(sql, values, (*self.mart.reads(has_live), *self.also_reads))

    def unheeded(self, filters: Filters) -> list[str]:
        """Return the filters that are set and that this panel does not know."""
        return [name for name, _ in filters.picked if name not in self.mart.columns]


@dataclass(frozen=True, slots=True)
class Options:
    """A filter of a page and the values that it offers."""

    name: str
    label: str
    mart: str
    column: str

    def question(self, tenant: str | None) -> Question:
        """Return the query of the values, those of one tenant if one is picked."""
        condition = "tenant_id = $tenant and" if tenant is not None else ""
        return Question(
            f"select distinct {self.column} from {self.mart} "
            f"where {condition} {self.column} is not null order by 1 limit 500",
            {} if tenant is None else {"tenant": tenant},
            (self.mart,),
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Panels for one kind of reader, with filters that they share."""

    path: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    options: tuple[Options, ...]
    newest: tuple[str, str]
    """Mart and column whose newest day the default period ends with."""
    has_dates: bool = True

    def newest_day(self) -> Question:
        """Return the query of the newest day."""
        mart, column = self.newest
        return Question(f"select max({column}) from {mart}", {}, (mart,))


def numbers(*measures: tuple[str, str]) -> str:
    """Return SQL of one row: each measure in the period, in the one before, and its change.

    Args:
        measures: names and the aggregates that give them.
    """
    return (
        f"with during as (select {selected(measures)} from {{source}} where {{where}}), "
        f"earlier as (select {selected(measures)} from {{source}} where {{before}}) "
        f"{compared(name for name, _ in measures)} from during, earlier"
    )


def selected(measures: Iterable[tuple[str, str]]) -> str:
    """Return the list of a select: names and the SQL that gives them."""
    return ", ".join(f"{sql} as {name}" for name, sql in measures)


def compared(names: Iterable[str]) -> str:
    """Return the select of each measure of ``during``, the same of ``earlier``, and the change."""
    return "select " + ", ".join(
        f"during.{name}, earlier.{name} as {name}_before, "
        f"during.{name}::double / nullif(earlier.{name}, 0)::double - 1 as {name}_change"
        for name in names
    )


def cost_each(count: str) -> str:
    """Return the SQL of spend by ``count``, as the mart rounds it: to a hundredth of a cent."""
    return (
        f"cast(cast((2 * cast(sum(spend_usd) * 10000 as hugeint) + sum({count})) "
        f"// nullif(2 * sum({count}), 0) as decimal(14, 0)) * 0.0001 as decimal(18, 4))"
    )


def share(part: str, whole: str) -> str:
    """Return the SQL of a share; of nothing it is null."""
    return f"sum({part})::double / nullif(sum({whole}), 0)"
