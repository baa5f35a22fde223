"""Bring what commits recorded into ``ops/commit_ranges``, before the log forgets it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from lake.commit_ranges import COMMIT_RANGES, SCHEMA, Range, fold_app_id, ranges_in
from lake.dead_letters.history import settle
from lake.delta_log import read_commit_infos
from lake.tables import Lake
from lake.writer.source import Source
from lake.writer.target import WRITER, Target

logger = logging.getLogger(__name__)

COMMITS_AT_ONCE: Final = 10_000
FEWEST: Final = 1_000
"""Commits without a range, such as compactions, are not worth a commit before they are so many."""

SPARSE_AT_ONCE: Final = 1_000
"""Ranges with offsets that carried no message are merged up to so many: a lost message and a row
at such an offset, both in one range, would cancel out. Ranges without such offsets stay exact
however many are merged: each offset in them must be there."""


def fold(lake: Lake, name: str, table: DeltaTable) -> int:
    """Fold what the commits of a bronze table recorded up to the version ``table`` is at.

    Returns:
        How far the table is folded now; -1: not at all. May be run again after a crash anywhere,
        and at the same time by two: the transaction id lets each commit in once.
    """
    settle(lake, name, table)  # what the log says of replays is kept, too
    writer = table.metadata().configuration.get(WRITER, "")
    store = Target(lake, "ops", COMMIT_RANGES, SCHEMA, writer).open()
    app_id = fold_app_id(table, name)
    seen = store.transaction_version(app_id)
    done = -1 if seen is None else seen
    while done < table.version():
        last = min(done + COMMITS_AT_ONCE, table.version())
        found = ranges_in(read_commit_infos(table, done, lake.storage_options, last))
        if not found and last - done < FEWEST:
            break
        rows = [
            _row(name, table, source, one)
            for source, theirs in sorted(found.items())
            for one in joined(theirs)
        ]
        try:
            write_deltalake(
                store,
                pa.Table.from_pylist(rows, schema=SCHEMA),
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction(app_id, last)]),
            )
        except CommitFailedError:
            logger.info("folded_by_another", extra={"table": name})
            store = lake.open("ops", COMMIT_RANGES)
            seen = store.transaction_version(app_id)
            return -1 if seen is None else seen
        done = last
        logger.info("folded", extra={"table": name, "to_version": done, "ranges": len(rows)})
    return done


def joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges that follow on each other as one; anything odd stays as it was recorded."""
    found: list[Range] = []
    for this in sorted(ranges, key=lambda r: (r.first, r.version)):
        last = found[-1] if found else None
        if (
            last is None
            or this.first != last.last + 1
            or this.is_dense != last.is_dense
            or (not this.is_dense and last.commits >= SPARSE_AT_ONCE)
        ):
            found.append(this)
            continue
        found[-1] = replace(
            last,
            last=this.last,
            messages=last.messages + this.messages,
            rows=last.rows + this.rows,
            dead=last.dead + this.dead,
            version=min(last.version, this.version),
            to_version=max(last.to_version or last.version, this.to_version or this.version),
            commits=last.commits + this.commits,
        )
    return found


def _row(name: str, table: DeltaTable, source: Source, one: Range) -> dict[str, Any]:
    return {
        "table": name,
        "table_id": table.metadata().id,
        "topic": source.topic,
        "topic_id": source.topic_id,
        "partition": source.partition,
        "first_offset": one.first,
        "last_offset": one.last,
        "messages": one.messages,
        "rows": one.rows,
        "dead": one.dead,
        "from_version": one.version,
        "to_version": one.version if one.to_version is None else one.to_version,
        "commits": one.commits,
    }
