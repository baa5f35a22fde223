"""What a model has to do in one build: nothing, an increment, a date range, or everything.

A model's own table says how far it has read: for each upstream table a Delta transaction
``dbt:<layer>.<name>:<table id>`` whose version is the upstream's version, written by the very
commit that writes the rows. So a build can die anywhere and simply be run again, and a table that
was deleted and made anew is not mistaken for the old one.

Besides, each commit of a model raises ``dbt:build`` by one. Two builds of the same model
therefore always conflict, whatever they write, and the second one fails instead of doubling rows.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from deltalake import DeltaTable, Transaction

from lake.delta_log import Changes, LogGoneError, locate_files, read_changes
from lake.erasure.mark import mark_in
from lake.errors import BuildError, ForeignTableError
from lake.maintenance.fence import is_maintenance
from lake.tables import Lake, Layer

logger = logging.getLogger(__name__)

Mode = Literal["full", "increment", "backfill"]
Reads = Literal["rows", "buckets", "changes"]
"""How a model follows its upstreams: by their new rows, by the partitions that changed, or by the
rows that came and those that went."""

FENCE = "dbt:build"
BACKFILLED = "dbt:backfilled"
"""1 from a backfill on until the next build: rows of the range may come from a state of the
upstreams that was neither the last one read nor the next one."""
NEVER = -1
"""The version before a table's first one."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """Whole UTC days, both inclusive."""

    first: date
    last: date

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a changed day of an upstream reaches into the days of a model."""

    days_before: int = 0
    days_after: int = 0

    def days(self, day: date) -> list[date]:
        """Return the days of the model that rows of ``day`` take part in."""
        return [day + timedelta(n) for n in range(-self.days_before, self.days_after + 1)]


@dataclass(frozen=True, slots=True)
class Pinned:
    """A table held at one version, or known to be absent, for a whole build."""

    lake: Lake
    layer: Layer
    name: str
    table: DeltaTable | None

    @property
    def label(self) -> str:
        """``<layer>.<name>``."""
        return f"{self.layer}.{self.name}"

    @property
    def uri(self) -> str:
        """The address of the table."""
        return self.lake.uri(self.layer, self.name)

    def progress(self) -> list[Transaction]:
        """Return the transactions that say: this version has been read."""
        absent = f"dbt:{self.label}:absent"
        if self.table is None:
            return [Transaction(absent, 1)]
        return [Transaction(self.app_id, self.table.version()), Transaction(absent, 0)]

    @property
    def app_id(self) -> str:
        """Names this very table in the transactions of those that read it."""
        assert self.table is not None
        return f"dbt:{self.label}:{self.table.metadata().id}"

    def last_read_by(self, reader: DeltaTable) -> int | None:
        """Return the version that ``reader`` has read, None when it has read none.

        ``NEVER`` when the reader was built while this table was not there yet.
        """
        seen = reader.transaction_version(self.app_id)
        if seen is None and reader.transaction_version(f"dbt:{self.label}:absent") == 1:
            return NEVER
        return seen


@dataclass(frozen=True, slots=True)
class Plan:
    """What one model does in this build, decided before its SQL is compiled."""

    mode: Mode
    reason: str
    """Why everything is recomputed; empty otherwise."""
    own: Pinned
    upstreams: tuple[Pinned, ...]
    changes: dict[str, Changes] = field(default_factory=dict)
    """By label of the upstream; increments only."""
    new_files: dict[str, list[str]] = field(default_factory=dict)
    """Addresses of the added files, for a model that reads rows or changes. In a backfill too:
    rows that the next build will read, which a model of sums must not count before."""
    old_files: dict[str, list[str]] = field(default_factory=dict)
    """Addresses of the removed files, for a model that reads changes."""
    reaches: Mapping[str, Reach] = field(default_factory=dict)
    """By label of the upstream: the days that a changed day touches; its own when it is absent."""
    dates: DateRange | None = None

    @property
    def has_nothing_to_do(self) -> bool:
        """True when no upstream got or lost a row since this model last read it."""
        return self.mode == "increment" and all(c.is_empty for c in self.changes.values())

    def progress(self) -> list[Transaction]:
        """Return the transactions that the commit of this plan must carry.

        A backfill carries none but the fence: what it did not look at is still to be read.
        """
        own = self.own.table
        build = None if own is None else own.transaction_version(FENCE)
        fence = Transaction(FENCE, 0 if build is None else build + 1)
        if self.mode == "backfill":
            return [fence, Transaction(BACKFILLED, 1)]
        return [
            fence,
            Transaction(BACKFILLED, 0),
            *(step for upstream in self.upstreams for step in upstream.progress()),
        ]

    @property
    def follows_backfill(self) -> bool:
        """True when days of the table were backfilled since it last read its upstreams."""
        return self.own.table is not None and self.own.table.transaction_version(BACKFILLED) == 1

    @property
    def has_progress(self) -> bool:
        """True when an upstream has moved, with or without new rows."""
        own = self.own.table
        return own is None or any(
            upstream.last_read_by(own) != upstream.table.version()
            for upstream in self.upstreams
            if upstream.table is not None
        )

    def buckets(self) -> frozenset[tuple[str, date]]:
        """Return the (tenant, date) buckets that changed rows of the upstreams take part in.

        Raises:
            BuildError: an upstream is not partitioned by tenant and date.
        """
        found: set[tuple[str, date]] = set()
        for label, changes in self.changes.items():
            for values in changes.partitions():
                if len(values) != 2 or values[0] is None or values[1] is None:
                    raise BuildError(
                        f"{self.own.label} follows the changed partitions of {label}, which must "
                        "be partitioned by a tenant and a date",
                        hint="partition the upstream by [tenant_id, <date>], or read its rows",
                    )
                reach = self.reaches.get(label, Reach())
                found.update((values[0], d) for d in reach.days(date.fromisoformat(values[1])))
        return frozenset(found)


def plan(
    own: Pinned,
    upstreams: tuple[Pinned, ...],
    *,
    reads: Reads,
    whole: frozenset[str] = frozenset(),
    reaches: Mapping[str, Reach] | None = None,
    rebuild: bool = False,
    full_refresh: bool = False,
    dates: DateRange | None = None,
) -> Plan:
    """Decide what to do about ``own``.

    Args:
        own: the model's table.
        upstreams: every table that its SQL reads.
        reads: how it follows them.
        whole: labels of upstreams that are looked up, not followed: a change recomputes the model.
        reaches: by label of the upstream, which days of the model a changed day touches.
        rebuild: the model is no incremental one: it is made anew each time.
        full_refresh: the user asked for everything.
        dates: the user asked for these days only.

    Raises:
        ForeignTableError: the table at the model's address was not made by it.
        BuildError: both everything and a date range are asked for.
    """
    if full_refresh and dates is not None:
        raise BuildError("a full refresh and a date range exclude each other")
    _refuse_foreign(own)
    if rebuild:
        return Plan("full", "", own, upstreams)

    def everything(reason: str) -> Plan:
        logger.info("model is recomputed in full", extra={"model": own.label, "reason": reason})
        return Plan("full", reason, own, upstreams)

    table = own.table
    if table is None:
        return everything("first build")
    if full_refresh:
        return everything("asked for")
    if table.transaction_version(FENCE) is None:
        return everything("the first build did not finish")
    if dates is not None:
        if reads != "rows":
            return Plan("backfill", "", own, upstreams, dates=dates)
        later = plan(own, upstreams, reads=reads, whole=whole)
        return Plan("backfill", "", own, upstreams, new_files=later.new_files, dates=dates)
    if _was_restored(table):
        return everything("the table was restored to an earlier version")
    changes: dict[str, Changes] = {}
    files: dict[str, list[str]] = {}
    old_files: dict[str, list[str]] = {}
    for upstream in upstreams:
        if upstream.table is None:
            if table.transaction_version(f"dbt:{upstream.label}:absent") != 1:
                return everything(f"{upstream.label} is gone")
            continue
        seen = upstream.last_read_by(table)
        if seen is None:
            return everything(f"{upstream.label} is new to it, or was made anew")
        if seen > upstream.table.version():
            return everything(f"{upstream.label} went back from version {seen}")
        options = upstream.lake.storage_options
        try:
            found = read_changes(upstream.table, seen, options)
            if not found.is_empty and upstream.label in whole:
                return everything(f"{upstream.label} has changed")
            if reads == "rows" and found.removed:
                return everything(f"rows of {upstream.label} were removed or rewritten")
            if reads == "changes" and found.is_tangled:
                return everything(f"{upstream.label} was compacted and then written again")
            if reads in ("rows", "changes"):
                files[upstream.label] = locate_files(upstream.table, found.added, options)
            if reads == "changes":
                old_files[upstream.label] = locate_files(upstream.table, found.removed, options)
        except LogGoneError as gone:
            return everything(f"{upstream.label} after version {seen}: {gone}")
        changes[upstream.label] = found
    return Plan("increment", "", own, upstreams, changes, files, old_files, reaches or {})


def has_read_all(reader: Pinned, upstreams: Sequence[Pinned]) -> bool:
    """Tell whether ``reader`` has read its upstreams up to the pinned versions, and no others.

    False after a backfill, whose rows are of days and not of versions.
    """
    if reader.table is None or reader.table.transaction_version(BACKFILLED) == 1:
        return False
    return all(
        upstream.last_read_by(reader.table) == upstream.table.version()
        for upstream in upstreams
        if upstream.table is not None
    )


def _refuse_foreign(own: Pinned) -> None:
    if own.table is not None and own.table.metadata().name != own.label:
        raise ForeignTableError(
            f"the table at {own.uri} was not made by the model {own.label}",
            hint="move it away, or give LAKEWARD_LAKE_ROOT another place",
        )


def _was_restored(table: DeltaTable) -> bool:
    """Tell whether the newest commit that set the content is a RESTORE.

    RESTORE brings rows back to an earlier version but leaves the transactions as they are, so
    they claim more than the table holds. Compaction or an erasure may have come after it.
    """
    for limit in (1, 100, None):
        for commit in table.history(limit):
            if is_maintenance(commit) or mark_in(commit) is not None:
                continue
            operation = str(commit.get("operation", ""))
            if operation in ("RESTORE", "WRITE"):
                return operation == "RESTORE"
    return False
