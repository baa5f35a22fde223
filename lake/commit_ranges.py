"""What the writer's commits recorded: which offsets each brought, and how many rows.

The Delta log says it for each commit. A log cannot grow for ever, so maintenance folds what old
commits recorded into the Delta table ``ops/commit_ranges`` before it cleans the log. How far a
table is folded is a transaction id of the very commit that brings its folded ranges; what comes
after is read from the log. Neither is ever missing, or counted twice, whenever a run dies.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lake.dead_letters.history import replays_of
from lake.delta_log import read_commit_infos
from lake.erasure.offsets import ErasedOffsets
from lake.errors import LakeError
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.commit import METADATA_KEY
from lake.writer.source import Source

COMMIT_RANGES: Final = "commit_ranges"
REOPENED: Final = 5

SCHEMA: Final = pa.schema(
    [
        pa.field("table", pa.string()),
        pa.field("table_id", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("first_offset", pa.int64()),
        pa.field("last_offset", pa.int64()),
        pa.field("messages", pa.int64()),
        pa.field("rows", pa.int64()),
        pa.field("dead", pa.int64()),
        pa.field("from_version", pa.int64()),
        pa.field("to_version", pa.int64()),
        pa.field("commits", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Range:
    """What one commit, or several in a row, recorded for one source; offsets inclusive."""

    first: int
    last: int
    messages: int
    rows: int
    dead: int
    version: int
    """The table version of the first commit."""
    to_version: int | None = None
    """The last commit's, when there are several."""
    commits: int = 1

    @property
    def is_dense(self) -> bool:
        """True when every offset carried a message."""
        return self.messages == self.last - self.first + 1

    @property
    def label(self) -> str:
        """``version 7``, or ``versions 7 to 9``."""
        if self.to_version is None or self.to_version == self.version:
            return f"version {self.version}"
        return f"versions {self.version} to {self.to_version}"


Ranges = dict[Source, list[Range]]


def ranges_in(infos: Iterable[tuple[int, Mapping[str, Any]]]) -> Ranges:
    """Return what commits recorded, by source, from their versions and commit infos."""
    found: Ranges = defaultdict(list)
    for version, info in infos:
        if METADATA_KEY not in info:
            continue
        for part in json.loads(info[METADATA_KEY]).get("partitions", []):
            source = Source(part["topic"], part["topic_id"], part["partition"])
            found[source].append(
                Range(
                    part["first"],
                    part["last"],
                    part["messages"],
                    part["rows"],
                    part["dead"],
                    version,
                )
            )
    return found


def fold_app_id(table: DeltaTable, name: str) -> str:
    """Return the transaction id whose version says how far this very table is folded."""
    return f"fold:bronze.{name}:{table.metadata().id}"


def folded(lake: Lake, name: str, table: DeltaTable) -> tuple[int, Ranges]:
    """Return the last folded version of a bronze table, -1 when none is, and its folded ranges."""
    found: Ranges = defaultdict(list)
    if not lake.exists("ops", COMMIT_RANGES):
        return -1, found
    store = lake.open("ops", COMMIT_RANGES)
    to_version = store.transaction_version(fold_app_id(table, name))
    if to_version is None:
        return -1, found
    rows = pa.table(store.scan().read_all()).cast(SCHEMA)
    mine = pc.and_(pc.equal(rows["table"], name), pc.equal(rows["table_id"], table.metadata().id))
    for row in rows.filter(mine).to_pylist():
        found[Source(row["topic"], row["topic_id"], row["partition"])].append(
            Range(
                row["first_offset"],
                row["last_offset"],
                row["messages"],
                row["rows"],
                row["dead"],
                row["from_version"],
                row["to_version"],
                row["commits"],
            )
        )
    return to_version, found


def recorded(lake: Lake, name: str, table: DeltaTable) -> tuple[DeltaTable, Ranges]:
    """Return everything that the commits of a bronze table recorded, by source, ascending.

    The log is read before the folded ranges: what is cleaned from it in between has been folded
    before that. When more was folded than ``table`` knows of, it is opened anew.

    Returns:
        The handle that the ranges belong to, and the ranges.

    Raises:
        LakeError: the table was folded again and again in the meantime.
    """
    for _ in range(REOPENED):
        start, _unused = folded(lake, name, table)
        live = read_commit_infos(table, start, lake.storage_options)
        to_version, found = folded(lake, name, table)
        if to_version > table.version():
            table = lake.open("bronze", name)
            continue
        for source, theirs in ranges_in((v, i) for v, i in live if v > to_version).items():
            found[source] += theirs
        for ranges in found.values():
            ranges.sort(key=lambda r: (r.first, r.version))
        return table, found
    raise LakeError(
        f"the log of bronze.{name} was folded while it was read",
        hint="Try again when maintenance is done.",
    )


def missing_rows(lake: Lake, name: str, table: DeltaTable) -> int:
    """Return how many of the recorded rows a bronze table lacks, by the counts in its log alone.

    0 when all are there, or when some file has no count. ``dead_letters`` is held against what
    all other tables recorded. Erased rows are not missing; nor, for as long as an erasure is under
    way, are as many others, since it announces what it will erase.
    """
    files = pa.table(table.get_add_actions(flatten=True))
    counts = files["num_records"] if "num_records" in files.column_names else None
    if files.num_rows and (counts is None or counts.null_count):
        return 0
    there = 0 if counts is None or not files.num_rows else int(pc.sum(counts).as_py())
    there += ErasedOffsets(lake).count(name)
    if name != DEAD_LETTERS:
        _, ranges = recorded(lake, name, table)
        rows = sum(r.rows for theirs in ranges.values() for r in theirs)
        return max(0, rows + len(replays_of(lake, name, table)) - there)
    wanted = 0
    for other in lake.names("bronze"):
        if other != DEAD_LETTERS:
            _, ranges = recorded(lake, other, lake.open("bronze", other))
            wanted += sum(r.dead for theirs in ranges.values() for r in theirs)
    return max(0, wanted - there)
