"""``ops.dead_letter_history``: what became of each dead letter after the writer put it away.

Only ever appended to, so that it competes with nobody and a second failure keeps the first. That a
letter was replayed is never written here on its own word: it is copied from the log of the bronze
table (``settle``), by whoever comes next, and how far is a transaction id of the same commit. Until
then ``read`` takes it from that log; so what it returns is right at any moment of any crash.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from lake.dead_letters.record import REPLAY, ReplayRecord, replays_since
from lake.errors import CommitError
from lake.tables import DEAD_LETTERS, Lake, read_rows
from lake.writer.source import Source
from lake.writer.target import WRITER, Target

logger = logging.getLogger(__name__)

HISTORY: Final = "dead_letter_history"
ATTEMPTS: Final = 20

Outcome = Literal["replayed", "failed", "purged"]
"""``replayed``: it is a row of its contract's table now. ``failed``: a replay found that it is
still none. ``purged``: a person let it go, and it is no longer in ``bronze.dead_letters``."""

SCHEMA: Final = pa.schema(
    [
        pa.field("contract", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("outcome", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("happened_at", pa.timestamp("us", tz="UTC")),
        pa.field("run_id", pa.string()),
        pa.field("contract_version", pa.string()),
        pa.field("mending", pa.string()),
        pa.field("table_id", pa.string()),
        pa.field("version", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Happening:
    """One row of the history."""

    contract: str
    source: Source
    offset: int
    outcome: Outcome
    happened_at: datetime
    run_id: str
    reason: str | None = None
    """Of a failure: one of decoding's, or of ``lake.dead_letters.outcome``; of a purge: why."""
    detail: str | None = None
    """Says what was wrong, and never a value of the payload."""
    contract_version: str | None = None
    mending: str | None = None
    """The steps of the mending file, as JSON."""
    table_id: str | None = None
    """Of the bronze table that has the row."""
    version: int | None = None
    """Of the bronze table: the commit that brought the row."""

    def as_row(self) -> dict[str, Any]:
        """Return it as the table has it."""
        return {
            "contract": self.contract,
            "topic": self.source.topic,
            "topic_id": self.source.topic_id,
            "partition": self.source.partition,
            "offset": self.offset,
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
            "happened_at": self.happened_at,
            "run_id": self.run_id,
            "contract_version": self.contract_version,
            "mending": self.mending,
            "table_id": self.table_id,
            "version": self.version,
        }


def note(lake: Lake, happenings: Iterable[Happening]) -> None:
    """Append failures or purges, in one commit.

    Raises:
        LakePathError: the lake cannot be read or written.
        CommitError: others kept changing the table.
    """
    rows = [one.as_row() for one in happenings]
    if rows:
        write_deltalake(
            history_target(lake).open(), pa.Table.from_pylist(rows, schema=SCHEMA), mode="append"
        )


def settle(lake: Lake, name: str, table: DeltaTable) -> None:
    """Copy what the log of a bronze table says of replays, up to the version ``table`` is at.

    May be run again after a crash anywhere, and by several at once: the transaction id lets each
    replay in once.

    Raises:
        CommitError: others kept settling the same table.
        LakeError: the log no longer has a replay that is not settled yet.
    """
    last = table.transaction_version(REPLAY)
    if last is None:
        return
    app_id = _settled_id(name, table)
    for _ in range(ATTEMPTS):
        store = history_target(lake).open()
        done = store.transaction_version(app_id)
        if done is not None and done >= last:
            return
        records = replays_since(table, done, lake.storage_options)
        rows = [one.as_row() for one in _replayed(name, table, records)]
        try:
            write_deltalake(
                store,
                pa.Table.from_pylist(rows, schema=SCHEMA),
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction(app_id, last)]),
            )
        except CommitFailedError:
            logger.info("settled_by_another", extra={"table": name})
            continue
        return
    raise CommitError(
        f"others kept writing down the replays of bronze.{name}",
        hint="Nothing is lost: the next replay, audit or maintenance run does it.",
    )


def read(lake: Lake) -> pa.Table:
    """Return everything that happened to dead letters, settled or not, in the columns of SCHEMA."""
    settled = _Settled(lake)
    live = [
        one.as_row()
        for name in lake.names("bronze")
        if name != DEAD_LETTERS
        for one in settled.live(name, lake.open("bronze", name))
    ]
    return pa.concat_tables([settled.rows(), pa.Table.from_pylist(live, schema=SCHEMA)])


def replays_of(lake: Lake, name: str, table: DeltaTable) -> list[Happening]:
    """Return the letters that became rows of one bronze table up to the version it is at."""
    if table.transaction_version(REPLAY) is None:
        return []
    settled = _Settled(lake)
    theirs = f"outcome = 'replayed' and table_id = '{table.metadata().id}'"
    return [
        *(one for one in happenings(settled.rows(theirs)) if (one.version or 0) <= table.version()),
        *settled.live(name, table),
    ]


def purged_of(lake: Lake) -> list[Happening]:
    """Return the letters that a person let go."""
    return happenings(_Settled(lake).rows("outcome = 'purged'"))


def happenings(rows: pa.Table) -> list[Happening]:
    """Return rows of the history as objects."""
    return [
        Happening(
            contract=row["contract"],
            source=Source(row["topic"], row["topic_id"], row["partition"]),
            offset=row["offset"],
            outcome=row["outcome"],
            happened_at=row["happened_at"],
            run_id=row["run_id"],
            reason=row["reason"],
            detail=row["detail"],
            contract_version=row["contract_version"],
            mending=row["mending"],
            table_id=row["table_id"],
            version=row["version"],
        )
        for row in rows.to_pylist()
    ]


def history_target(lake: Lake) -> Target:
    """Return what the table looks like, and the way to it."""
    writer = lake.open("bronze", DEAD_LETTERS).metadata().configuration.get(WRITER, "")
    return Target(lake, "ops", HISTORY, SCHEMA, writer)


class _Settled:
    """The history at one version: what it holds, and how far it is settled, from one handle."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._table = lake.open("ops", HISTORY) if lake.exists("ops", HISTORY) else None

    def rows(self, predicate: str | None = None) -> pa.Table:
        if self._table is None:
            return SCHEMA.empty_table()
        return read_rows(self._table, SCHEMA.names, predicate).cast(SCHEMA)

    def live(self, name: str, table: DeltaTable) -> list[Happening]:
        """Return the replays that only the log of a bronze table tells of as yet."""
        if table.transaction_version(REPLAY) is None:
            return []
        done = None
        if self._table is not None:
            done = self._table.transaction_version(_settled_id(name, table))
        return _replayed(name, table, replays_since(table, done, self._lake.storage_options))


def _replayed(name: str, table: DeltaTable, records: Sequence[ReplayRecord]) -> list[Happening]:
    return [
        Happening(
            contract=name,
            source=source,
            offset=offset,
            outcome="replayed",
            happened_at=record.committed_at,
            run_id=record.run_id,
            contract_version=record.contract_version,
            mending=record.mending,
            table_id=str(table.metadata().id),
            version=record.version,
        )
        for record in records
        for source, offset in record.offsets()
    ]


def _settled_id(name: str, table: DeltaTable) -> str:
    """Return the transaction id that says up to which version this very table is settled."""
    return f"replays:bronze.{name}:{table.metadata().id}"
