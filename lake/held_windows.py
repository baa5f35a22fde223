"""Marts by the minute in a session that holds the tail: worked out minute by minute, not anew.

A minute of a tenant is open while events come for it, and a query works it out from the events of
the open minutes alone. When nothing came for it for a while it is closed: its rows are worked out
once, by the same text, and kept; and when something comes for it after all it is open again. So a
query costs what the last minute or two hold, however long ago the build was. See ADR 118.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import duckdb

from lake.duck import quote_name
from lake.held_tail import HELD, HeldTail, in_minutes
from lake.held_visits import CHANGED, VISIT, HeldVisits

logger = logging.getLogger(__name__)

CAME: Final = f"{HELD}.came_minutes"
"""The minutes of the rows that came last, of all tables."""
MINUTES: Final = f"{HELD}.minutes"
"""The minutes that something came for, of all tables."""
QUIET: Final = 3
"""A minute is closed when nothing was taken in for it so many times."""
WORTH_IT: Final = 20_000
"""Events of quiet minutes; fewer are left open, as it costs a query next to nothing."""

_MINUTE: Final = "tenant_id, event_date, minute"
_OPEN: Final = f"{HELD}.open_minutes"
_OPENED: Final = f"{HELD}.opened_minutes"
_CLOSING: Final = f"{HELD}.closing_minutes"


@dataclass(slots=True)
class HeldWindows:
    """Open and closed minutes of all tables together.

    One thread at a time, each change within a transaction; but for ``work_out``.
    """

    cursor: duckdb.DuckDBPyConnection
    marts: Mapping[str, str]
    """By name of the mart: SQL of its rows over ``held.open_<contract>`` and ``open_visits``."""
    tails: Sequence[HeldTail]
    visits: HeldVisits | None
    _taken: int = field(default=0, init=False)
    """So many times something was taken in."""

    def begin(self) -> None:
        """Make the tables, empty; those of the tails are there."""
        self._taken = 0
        self.cursor.execute(
            f"create or replace table {_OPEN} "
            "(tenant_id varchar, event_date date, minute timestamptz, touched_in integer)"
        )
        for tail in self.tails:
            self.cursor.execute(
                f"create or replace table {_open(tail)} as "
                f"select {tail.columns} from {_of(tail, 'came')} where false"
            )
        if self.visits is not None:
            self.visits.begin()
        for name, sql in self.marts.items():
            self.cursor.execute(f"create or replace table {_rows(name)} as {sql} limit 0")

    def add_days(self, tail: HeldTail, built: str) -> None:
        """Take in what gold was built from on days that were not held before."""
        if self.visits is not None and self.visits.contract == tail.of.contract:
            self.visits.add_days(built)

    def take(self, came: Sequence[HeldTail]) -> None:
        """Take in what the tails hold in ``held.came_<contract>``, and ``CAME``."""
        self._taken += 1
        touched = f"select {_MINUTE} from {CAME}"
        for tail in came:
            if self.visits is not None and self.visits.contract == tail.of.contract:
                self.visits.add(f"(select * from {_of(tail, 'came')} where is_new)")
                touched = " union ".join([touched, *self._minutes_of_changed()])
        self.cursor.execute(f"create or replace table {HELD}.touched_minutes as {touched}")
        self.cursor.execute(
            f"create or replace table {_OPENED} as from {HELD}.touched_minutes "
            f"anti join {_OPEN} using ({_MINUTE})"
        )
        opened = self._count(_OPENED)
        for tail in came:
            new = f"{_of(tail, 'came')} where is_new"
            self.cursor.execute(
                f"insert into {_open(tail)} by name select {tail.columns} from {new} "
                f"and {in_minutes(_OPEN) if opened else 'true'}"
            )
            if self.visits is not None and _is_in_visits(tail):
                self.visits.show(f"select {VISIT} from {new}")
        if opened:
            self._open_again()
        self.cursor.execute(
            f"update {_OPEN} set touched_in = {self._taken} "
            f"where ({_MINUTE}) in (from {HELD}.touched_minutes)"
        )
        self.cursor.execute(f"insert into {_OPEN} select *, {self._taken} from {_OPENED}")

    def view(self, mart: str) -> str:
        """Return the SQL of a mart's view."""
        return (
            f"select * from gold.{quote_name(mart)} anti join "
            f"(select tenant_id, minute as window_start from {MINUTES}) as touched "
            "using (tenant_id, window_start) "
            f"union all by name from {_rows(mart)} "
            f"union all by name select * from ({self.marts[mart]})"
        )

    def is_worth_closing(self) -> bool:
        """Tell whether enough events are of minutes that nothing comes for any more."""
        quiet = f"(select * from {_OPEN} where touched_in <= {self._taken - QUIET})"
        if not self._count(quiet):
            return False
        events = (self._count(f"{_open(tail)} where {in_minutes(quiet)}") for tail in self.tails)
        return sum(events) >= WORTH_IT

    def work_out(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Work out the rows of the minutes that nothing came for for a while.

        Args:
            cursor: another than that of the session, so that this may run beside all others.
        """
        contracts = "|".join(tail.of.contract for tail in self.tails)
        cursor.execute("begin")
        try:
            cursor.execute(
                f"create or replace table {_CLOSING} as "
                f"from {_OPEN} where touched_in <= {self._taken - QUIET}"
            )
            for tail in self.tails:
                cursor.execute(
                    f"create or replace view {_of(tail, 'closing')} as "
                    f"from {_open(tail)} where {in_minutes(_CLOSING)}"
                )
            for name, sql in self.marts.items():
                rows = re.sub(rf"\b{HELD}\.open_({contracts})\b", rf"{HELD}.closing_\1", sql)
                cursor.execute(f"create or replace table {_closed(name)} as {rows}")
        except BaseException:
            cursor.execute("rollback")
            raise
        cursor.execute("commit")

    def close(self) -> None:
        """Close the minutes that were worked out, but for those that something came for since."""
        self.cursor.execute(
            f"delete from {_CLOSING} where ({_MINUTE}, touched_in) not in (from {_OPEN})"
        )
        windows = f"(select tenant_id, minute as window_start from {_CLOSING})"
        for name in self.marts:
            self.cursor.execute(
                f"insert into {_rows(name)} by name from {_closed(name)} "
                f"semi join {windows} using (tenant_id, window_start)"
            )
            self.cursor.execute(f"drop table {_closed(name)}")
        self.cursor.execute(
            f"delete from {_OPEN} where ({_MINUTE}, touched_in) in (from {_CLOSING})"
        )
        # Made anew: of a table in memory, a row that is deleted is passed over in each query.
        for tail in self.tails:
            self.cursor.execute(
                f"create or replace table {_open(tail)} as from {_open(tail)} "
                f"where {in_minutes(_OPEN)}"
            )
        shown = [f"select {VISIT} from {_open(tail)}" for tail in self.tails if _is_in_visits(tail)]
        if self.visits is not None and shown:
            self.visits.show_only(" union ".join(shown))

    def _open_again(self) -> None:
        """Fill the minutes that are open from now on."""
        for tail in self.tails:
            opened = _of(tail, "opened")
            self.cursor.execute(
                f"create or replace table {opened} as select {tail.columns} "
                f"from {_of(tail, 'events')} where is_new and {in_minutes(_OPENED)} "
                f"union all by name from {_of(tail, 'near')} where {in_minutes(_OPENED)}"
            )
            self.cursor.execute(f"insert into {_open(tail)} by name from {opened}")
            if self.visits is not None and _is_in_visits(tail):
                self.visits.show(f"select {VISIT} from {opened}")
            self.cursor.execute(f"drop table {opened}")
        for name in self.marts:
            self.cursor.execute(
                f"delete from {_rows(name)} where (tenant_id, window_start) in "
                f"(select tenant_id, minute from {_OPENED})"
            )

    def _minutes_of_changed(self) -> list[str]:
        """Return SQL of the held minutes in which a visit has events whose channel changed."""
        if not self._count(CHANGED):
            return []
        minute = "make_timestamptz(epoch_us(event_at) // 60000000 * 60000000) as minute"
        return [
            f"select distinct tenant_id, event_date, {minute} from {_of(tail, what)} "
            f"where ({VISIT}) in (select {VISIT} from {CHANGED})"
            for tail in self.tails
            if _is_in_visits(tail)
            for what in ("new", "near")
        ]

    def _count(self, relation: str) -> int:
        row = self.cursor.execute(f"select count(*) from {relation}").fetchone()
        assert row is not None
        return int(row[0])


def _of(tail: HeldTail, what: str) -> str:
    return f"{HELD}.{quote_name(f'{what}_{tail.of.contract}')}"


def _open(tail: HeldTail) -> str:
    return _of(tail, "open")


def _rows(mart: str) -> str:
    return f"{HELD}.{quote_name(f'rows_{mart}')}"


def _closed(mart: str) -> str:
    return f"{HELD}.{quote_name(f'closed_{mart}')}"


def _is_in_visits(tail: HeldTail) -> bool:
    return '"session_id"' in tail.columns
