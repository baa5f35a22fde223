"""The first event of each visit of the days that a session holds: what a visit's channel is from.

Kept up with each commit, so that a mart by the minute need not look for it among all events. A
visit is looked up by the hash of its name, since whole numbers are compared quickest. See ADR 118.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb

from lake.held_tail import HELD

VISIT: Final = "tenant_id, event_date, session_id"
"""What names a visit."""
CHANGED: Final = f"{HELD}.changed_visits"
"""Visits whose channel became another one by the rows that came last, or known at all: what is
bought in a visit may come before the visit's first page."""
_VISITS: Final = f"{HELD}.visits"
_CAME: Final = f"{HELD}.came_visits"
_KNOWN: Final = f"{HELD}.known_visits"
_FIRST: Final = "event_at, event_id, channel"


@dataclass(slots=True)
class HeldVisits:
    """Of visits with an event in an open minute ``held.open_visits`` shows the first event.

    One thread at a time, each change within a transaction.
    """

    cursor: duckdb.DuckDBPyConnection
    contract: str
    """The table whose events begin visits."""
    firsts: str
    """SQL of the first events of visits over ``live.built_<contract>``."""

    def begin(self) -> None:
        """Hold nothing."""
        self.cursor.execute(f"create or replace table {_CAME} as {self._firsts_of(None)} limit 0")
        for statement in (
            f"create or replace table {_VISITS} as select *, true as is_open from {_CAME}",
            f"create or replace table {CHANGED} as select {VISIT} from {_CAME}",
            f"create or replace view {HELD}.open_visits as "
            f"select {VISIT}, {_FIRST} from {_VISITS} where is_open",
        ):
            self.cursor.execute(statement)

    def add_days(self, events: str) -> None:
        """Take in all events of days of which nothing was held before, as a relation of SQL."""
        firsts = self._firsts_of(events)
        self.cursor.execute(
            f"insert into {_VISITS} by name select *, false as is_open from ({firsts})"
        )

    def add(self, events: str) -> None:
        """Take in events of open minutes; ``CHANGED`` are then the visits that they changed."""
        both = self._firsts_of(f"(from {_KNOWN} union all by name from {_CAME})")
        for statement in (
            f"create or replace table {_CAME} as {self._firsts_of(events)}",
            f"create or replace table {_KNOWN} as select visits.*, visits.rowid as row_id "
            f"from {_VISITS} as visits where visit_hash in (select visit_hash from {_CAME})",
            f"create or replace table {HELD}.kept_visits as "
            "select first.*, row_id, known.channel as channel_before "
            f"from {_KNOWN} as known inner join ({both}) as first "
            f"using ({VISIT}) where ({VISIT}) in (select {VISIT} from {_CAME})",
            f"create or replace table {CHANGED} as select {VISIT} from {HELD}.kept_visits "
            "where channel is distinct from channel_before "
            f"union all select {VISIT} from {_CAME} anti join {_KNOWN} using ({VISIT})",
            f"update {_VISITS} as visits set is_open = true, event_at = kept.event_at, "
            "event_id = kept.event_id, channel = kept.channel "
            f"from {HELD}.kept_visits as kept where visits.rowid = kept.row_id",
            f"insert into {_VISITS} by name select *, true as is_open from {_CAME} "
            f"anti join {_KNOWN} using ({VISIT})",
        ):
            self.cursor.execute(statement)

    def show(self, visits: str) -> None:
        """Show the visits that a query returns too."""
        self.cursor.execute(
            f"update {_VISITS} set is_open = true "
            f"where not is_open and visit_hash in (select hash({VISIT}) from ({visits}))"
        )

    def show_only(self, visits: str) -> None:
        """Show the visits that a query returns, and no others."""
        self.cursor.execute(
            f"update {_VISITS} set is_open = false "
            f"where is_open and visit_hash not in (select hash({VISIT}) from ({visits}))"
        )

    def _firsts_of(self, events: str | None) -> str:
        built = f"live.built_{self.contract}"
        firsts = self.firsts.replace(built, events or built)
        return f"select {VISIT}, {_FIRST}, hash({VISIT}) as visit_hash from ({firsts})"
