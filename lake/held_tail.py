"""What came to a bronze table since the last build, held in the memory of a session.

A live view works out the events since the build anew in each query. A session that is asked again
and again keeps them instead, as silver will have them, and adds what each commit brings. Of what
gold was built from it keeps what the marts by the minute need beside: the events of the minutes
that something came for. Both are the views' own SQL over fewer rows, so a held view answers what
the view answers. See ADR 113.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from lake.delta_log import (
    DataFile,
    LogGoneError,
    locate_files,
    read_changes,
    read_commit_infos,
)
from lake.duck import delta_scan, quote_name, quote_text
from lake.erasure.mark import mark_in
from lake.file_rows import column_types, rows_of_files
from lake.increments import NEVER
from lake.tables import Lake

logger = logging.getLogger(__name__)

HELD: Final = "held"
"""The schema of a session in which it holds them."""
MOST_NEW: Final = 3_000_000
"""Rows since the build that a session holds: five minutes at 10,000 a second."""
MOST_BUILT: Final = 6_000_000
"""Events of the touched days of a silver table of which a session holds a part. Of more it holds
the new events only, and looks at silver in each query."""
WRITERS_MIXED: Final = 20
"""Versions before that of the bound which are looked at too: of two writers at once, the later
version may have the earlier stamp, and time is cut by stamps."""
FILES_KEPT: Final = 64
"""So many files that came are read once and for all; more are read again by each step, and for less
memory in the columns that it needs."""
MINUTE_US: Final = 60_000_000

Days = Sequence[tuple[str, date]]


class NotHeldError(Exception):
    """A tail that a session cannot hold, or not any longer; never shown to a user."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a held table is made of: the texts of its live views, and where time is cut."""

    contract: str
    key: tuple[str, ...]
    bound: datetime
    version: int | None
    """The version of bronze up to which the marts were built, where it is known."""
    events: str
    """SQL of silver over ``live.tail_<contract>``."""
    minutes: str
    """SQL of the minutes of the same rows."""
    wanted: frozenset[str]
    """Columns that a mart may read, and names that are no columns."""


@dataclass(slots=True)
class HeldTail:
    """The new events of one table; one thread at a time, each change within a transaction."""

    lake: Lake
    cursor: duckdb.DuckDBPyConnection
    """Of the session, in whose database the schemas ``live`` and ``held`` are."""
    of: Held
    most_new: int
    most_built: int
    _table: DeltaTable | None = field(default=None, init=False)
    _types: dict[str, str] = field(default_factory=dict, init=False)
    columns: str = field(default="", init=False)
    """Those that are held, as SQL names them."""
    holds_built: bool = field(default=True, init=False)
    """False when there is too much of it."""
    rows: int = field(default=0, init=False)
    """So many are held."""
    _days: set[tuple[str, date]] = field(default_factory=set, init=False)
    """Of which it holds the keys."""

    def begin(self) -> list[str]:
        """Make the tables, empty; return the files of what came since the bound."""
        contract = self.of.contract
        self._table = self.lake.open("bronze", contract)
        uri = self.lake.uri("bronze", contract)
        self._types = column_types(self.cursor, delta_scan(uri, self._table.version()))
        self._days = set()
        self.holds_built = True
        self.rows = 0
        self.read([])
        fresh = f"({self._batch(self.of.events)})"
        described = self.cursor.execute(f"select * from {fresh} limit 0").description or []
        always = {*self.of.key, "tenant_id", "event_date", "event_at"}
        kept = [str(c[0]) for c in described if c[0] in always or c[0] in self.of.wanted]
        self.columns = ", ".join(map(quote_name, kept))
        for statement in (
            f"create or replace table {self._name('events')} as "
            f"select {self.columns}, true as is_new, 0::ubigint as key_hash "
            f"from {fresh} where false",
            f"create or replace table {self._name('minutes')} as {self._batch(self.of.minutes)}",
            f"create or replace table {self._name('came')} as from {self._name('events')}",
            f"create or replace table {self._name('keys')} (key_hash ubigint)",
            f"create or replace table {self._name('near')} as "
            f"select {self.columns} from live.built_{contract} where false",
            f"create or replace view {self._name('new')} as "
            f"select {self.columns} from {self._name('events')} where is_new",
            f"create or replace view {self._name('needed')} as from {self._name('near')}",
        ):
            self.cursor.execute(statement)
        return self._since_bound(self._table)

    def came(self) -> list[str] | None:
        """Return the files that came; None when the log cannot tell, and all has to be read anew.

        Raises:
            NotHeldError: rows of the table were taken away.
        """
        table = self._table
        assert table is not None
        before = table.version()
        table.update_incremental()
        if table.version() == before:
            return []
        options = self.lake.storage_options
        infos = read_commit_infos(table, before, options)
        if any(mark_in(info) for _, info in infos):
            raise NotHeldError(f"rows of bronze.{self.of.contract} were erased")
        try:
            changes = read_changes(table, before, options)
            if changes.removed:
                raise NotHeldError(f"rows of bronze.{self.of.contract} were removed")
            return self._addresses(table, changes.added)
        except LogGoneError as gone:
            reason = {"table": self.of.contract, "reason": str(gone)}
            logger.info("live tail read anew", extra=reason)
            return None

    def read(self, addresses: list[str]) -> None:
        """Make ``held.tail_<contract>`` the rows of some files that are after the bound."""
        assert self._table is not None
        rows = rows_of_files(self._types, self._table.metadata().partition_columns, addresses)
        rows = f"select * from ({rows}) where _committed_at > {self._moment}"
        if len(addresses) <= FILES_KEPT:
            self.cursor.execute(f"create or replace table {self._name('rows')} as {rows}")
            rows = f"from {self._name('rows')}"
        self.cursor.execute(f"create or replace view {self._name('tail')} as {rows}")

    def add_minutes(self) -> str:
        """Hold the minutes of the rows that are read; return the table of these minutes.

        Raises:
            NotHeldError: there are more rows than a session may hold.
        """
        minutes, came = self._name("minutes"), self._name("came_minutes")
        rows = self._count(self._name("tail")) + self.rows
        if rows > self.most_new:
            raise NotHeldError(f"{rows} rows came to bronze.{self.of.contract} since the build")
        self.cursor.execute(f"create or replace table {came} as {self._batch(self.of.minutes)}")
        self.cursor.execute(
            f"insert into {minutes} by name from {came} "
            f"anti join {minutes} using (tenant_id, event_date, minute)"
        )
        return came

    def _since_bound(self, table: DeltaTable) -> list[str]:
        """Return the files that may hold rows after the bound: by the log, else by their day."""
        since = self.of.version
        if since is not None:
            try:
                after = max(NEVER, since - WRITERS_MIXED)
                changes = read_changes(table, after, self.lake.storage_options)
                if not changes.removed:
                    return self._addresses(table, changes.added)
            except LogGoneError as gone:
                logger.debug("live tail by days", extra={"reason": str(gone)})
        columns = table.metadata().partition_columns
        first = self.of.bound.date().isoformat()
        files = []
        for file in pa.table(table.get_add_actions(flatten=True)).to_pylist():
            values = {column: str(file[f"partition.{column}"]) for column in columns}
            if values.get("_ingest_date", first) >= first:
                files.append(DataFile(unquote(file["path"]), tuple(values.values())))
        try:
            return self._addresses(table, tuple(files))
        except LogGoneError as gone:
            raise FileNotFoundError(str(gone)) from gone

    def _addresses(self, table: DeltaTable, files: tuple[DataFile, ...]) -> list[str]:
        """Return the addresses of files, below the root that the session may read from.

        Raises:
            LogGoneError: one of them is not there any more.
        """
        locate_files(table, files, self.lake.storage_options)
        root = self.lake.uri("bronze", self.of.contract)
        return [f"{root}/{file.path}" for file in files]

    def add_days(self, days: set[tuple[str, date]]) -> str | None:
        """Hold the keys of the events that gold was built from on some days.

        Returns:
            SQL of these events, where they may be held and the days were not held before.
        """
        days = days - self._days
        self._days |= days
        if not days or not self.holds_built:
            return None
        if self._built_rows() > self.most_built:
            logger.info("live tail without what was built", extra={"table": self.of.contract})
            self.holds_built = False
            self.cursor.execute(
                f"create or replace view {self._name('needed')} as "
                f"from live.built_{self.of.contract}"
            )
            for what in ("near", "keys"):
                self.cursor.execute(f"drop table {self._name(what)}")
            return None
        built = f"(select * from live.built_{self.of.contract} where {_in_days(sorted(days))})"
        key = ", ".join(map(quote_name, (*self.of.key, "event_date")))
        self.cursor.execute(f"insert into {self._name('keys')} select hash({key}) from {built}")
        return built

    def _built_rows(self) -> int:
        """Return how many rows silver has in the held days, by its log."""
        name = f"stg_{self.of.contract}"
        files = pa.table(self.lake.open("silver", name).get_add_actions(flatten=True)).to_pylist()
        return sum(
            file.get("num_records") or 0
            for file in files
            if (file["partition.tenant_id"], file["partition.event_date"]) in self._days
        )

    def add_near(self, came: str, first: datetime, last: datetime) -> None:
        """Hold the built events of minutes.

        Args:
            came: the table of these minutes, none of which was held before.
            first: the first of them.
            last: the last of them.
        """
        if not self.holds_built:
            return
        self.cursor.execute(
            f"insert into {self._name('near')} by name select {self.columns} "
            f"from live.built_{self.of.contract} where {_in_days(sorted(self._days))} "
            f"and event_at >= timestamptz '{first.isoformat()}' "
            f"and event_at < timestamptz '{(last + timedelta(minutes=1)).isoformat()}' "
            f"and {in_minutes(came)}"
        )

    def add_events(self) -> None:
        """Hold the events of the rows that came, and of each whether it is new to silver.

        They are in ``held.came_<contract>`` too, until others come.
        """
        key = ", ".join(map(quote_name, self.of.key))
        events, came = self._name("events"), self._name("came")
        self.cursor.execute(
            f"create or replace table {came} as select {self.columns}, true as is_new, "
            f"hash({key}) as key_hash from ({self._batch(self.of.events)})"
        )
        again = f"{came} where key_hash in (select key_hash from {events})"
        if self.rows and self._count(again):
            self.cursor.execute(
                f"delete from {came} where ({key}) in (select {key} from {events} "
                f"where key_hash in (select key_hash from {came}))"
            )
        if self._may_be_built(came):
            days = self.cursor.execute(f"select distinct tenant_id, event_date from {came}")
            among = _in_days(sorted(days.fetchall()))
            key = f"{key}, event_date"
            self.cursor.execute(
                f"update {came} set is_new = false where ({key}) in "
                f"(select {key} from live.built_{self.of.contract} where {among} "
                f"and ({key}) in (select {key} from {came}))"
            )
        self.cursor.execute(f"insert into {events} by name from {came}")
        self.rows += self._count(came)

    def _count(self, name: str) -> int:
        row = self.cursor.execute(f"select count(*) from {name}").fetchone()
        assert row is not None
        return int(row[0])

    def _may_be_built(self, came: str) -> bool:
        """Tell whether silver may have one of the events that came: by the hashes of its keys."""
        key = ", ".join(map(quote_name, (*self.of.key, "event_date")))
        suspects = f"select 1 from {came} limit 1"
        if self.holds_built:
            suspects = (
                f"select 1 from {self._name('keys')} "
                f"where key_hash in (select hash({key}) from {came}) limit 1"
            )
        return self.cursor.execute(suspects).fetchone() is not None

    @property
    def _moment(self) -> str:
        return f"timestamptz '{self.of.bound.isoformat()}'"

    def _name(self, what: str) -> str:
        return f"{HELD}.{quote_name(f'{what}_{self.of.contract}')}"

    def _batch(self, sql: str) -> str:
        """Return the SQL of a live view over the rows that are being read."""
        return re.sub(rf"\blive\.tail_{self.of.contract}\b", self._name("tail"), sql)


def in_minutes(table: str) -> str:
    """Return the filter of the events of the tenants' minutes that ``table`` has."""
    minute = f"epoch_us({{}}) // {MINUTE_US}"
    return (
        f"(tenant_id, {minute.format('event_at')}) in "
        f"(select tenant_id, {minute.format('minute')} from {table})"
    )


def _in_days(days: Days) -> str:
    """Return the filter of some tenants' days, by which files of silver are skipped."""
    if not days:
        return "false"
    tenants = ", ".join(quote_text(tenant) for tenant in sorted({tenant for tenant, _ in days}))
    dates = ", ".join(f"date '{day}'" for day in sorted({day for _, day in days}))
    pairs = ", ".join(f"({quote_text(tenant)}, date '{day}')" for tenant, day in days)
    return (
        f"tenant_id in ({tenants}) and event_date in ({dates}) "
        f"and (tenant_id, event_date) in (values {pairs})"
    )
