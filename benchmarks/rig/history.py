"""A history of events as bronze Delta tables, as many as the writer would need hours for.

What is written is what the writer leaves: its columns, its tables made and committed through its
own code, with offsets without a gap, a transaction for each partition and the range that each
commit covers. So ``lakeward audit`` and every model take it for what it is. A day is one commit a
contract: the few large files that compaction would have made of it.

Beside the lake, ``history.jsonl`` says after each slice how far the history is. One that was
interrupted, or is to grow, goes on from there; a contract whose rows of the slice had landed, by
the offsets of its table, is not written again.

``python -m benchmarks.rig.history LAKE_ROOT EVENTS`` writes one to look at.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from benchmarks.rig.history_sql import (
    CONTRACTS,
    MACROS,
    RETRY_EACH,
    VISITS,
    filled,
    numbered_from,
    variables,
)
from benchmarks.rig.progress import say
from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from ingest.generator.product import MEAN_EVENTS as MEAN_APP_EVENTS
from ingest.generator.simulation import SHARES, VISIT_CONTRACTS
from ingest.generator.sites import load_sites
from lake.read import LakeReader
from lake.schema import PARTITION_BY, bronze_schema, dead_letter_schema
from lake.tables import DEAD_LETTERS, Lake
from lake.writer.commit import Mark, Span, TransactionalTable
from lake.writer.rules import rules_number
from lake.writer.source import Source
from lake.writer.target import Target

WRITER: Final = "lakeward"
TOPIC_ID: Final = "benchmark"
PARTITIONS: Final = 3
FIRST: Final = datetime(2025, 9, 1, tzinfo=UTC)
MEMORY: Final = "2GB"

EVENTS_A_VISIT: Final = 4.25
"""Of the visits that ``history_sql`` makes, measured."""


@dataclass
class History:
    """Writes events to bronze, slice by slice, each later than the one before.

    Raises:
        ValueError: the history that is there has another number of events a day.
    """

    lake: Lake
    a_day: int
    """Events a day."""
    messages: Counter[str] = field(default_factory=Counter)
    """Written so far, by contract."""
    _at: datetime = FIRST
    _visit: int = 0
    _ad: int = 0
    _app: int = 0

    def __post_init__(self) -> None:
        """Make the tables where they are not there."""
        self._connection = duckdb.connect()
        self._connection.execute(f"set memory_limit = '{MEMORY}'; set TimeZone = 'UTC'")
        self._connection.execute(variables())
        self._connection.execute(MACROS)
        sites = [
            (n, site.site_id, site.tenant_id, site.domain, site.token_symbol)
            for n, site in enumerate(load_sites())
        ]
        self._connection.execute(
            "create table sites (number integer, site_id text, tenant_id text, domain text, "
            "token_symbol text)"
        )
        self._connection.executemany("insert into sites values (?, ?, ?, ?, ?)", sites)
        contracts = load_contracts(None)
        Target(self.lake, "bronze", DEAD_LETTERS, dead_letter_schema(), WRITER, PARTITION_BY).open()
        self._tables = [_Bronze(self.lake, contracts.by_name(name)) for name in CONTRACTS]
        self._journal = journal_of(self.lake)
        if self._journal.exists():
            self._go_on_from(json.loads(self._journal.read_text().splitlines()[-1]))

    @classmethod
    def after(cls, lake: Lake, a_day: int) -> History:
        """Go on in a lake that has events: with later ones, whose numbers no earlier one has.

        Whoever comes back among them may be one that never was there before.
        """
        with LakeReader(lake) as reader:
            counts = {
                name: reader.table(f"select count(*), max(_committed_at) from bronze.{name}")
                for name in ("clickstream", "ad_events", "app_events")
            }
        rows = {name: int(found[0][0].as_py()) for name, found in counts.items()}
        newest: datetime = counts["clickstream"][1][0].as_py()
        return cls(
            lake,
            a_day,
            _at=newest.astimezone(UTC) + timedelta(microseconds=1),
            _visit=rows["clickstream"],
            _ad=rows["ad_events"],
            _app=rows["app_events"],
        )

    @property
    def now(self) -> datetime:
        """When the next event arrives, UTC."""
        return self._at

    @property
    def total(self) -> int:
        """Messages of all contracts."""
        return self.messages.total()

    @property
    def day(self) -> date:
        """The day that the next event falls on."""
        return self._at.date()

    def write_days(self, days: int) -> int:
        """Write whole days; return how many messages they are."""
        before = self.total
        for _ in range(days):
            self.write(self.a_day, timedelta(days=1))
        return self.total - before

    def write(self, events: int, span: timedelta | None = None) -> int:
        """Write about ``events`` events as one commit a contract; return how many they are.

        They take as long as they do at so many a day, unless ``span`` says how long.
        """
        before = self.total
        span = span or timedelta(days=1) * (events / self.a_day)
        values = self._values(events, span)
        self._connection.execute(filled(VISITS, values))
        for table in self._tables:
            name = table.contract.name
            if table.messages == self.messages[name]:
                sql = filled(CONTRACTS[name], values)
                table.append(self._connection, sql, self._at + span - timedelta(microseconds=1))
            self.messages[name] = table.messages
        self._visit += int(values["visits"])
        self._ad += int(values["ads"])
        self._app += int(values["apps"])
        self._at += span
        self._note()
        return self.total - before

    def _note(self) -> None:
        told = {
            "a_day": self.a_day,
            "at": self._at.isoformat(),
            "visit": self._visit,
            "ad": self._ad,
            "app": self._app,
            "messages": self.messages,
        }
        with self._journal.open("a") as lines:
            lines.write(json.dumps(told) + "\n")

    def _go_on_from(self, told: dict[str, Any]) -> None:
        if told["a_day"] != self.a_day:
            raise ValueError(
                f"{self._journal} is of {told['a_day']:,} events a day, not {self.a_day:,}: "
                "remove its folder, or name another"
            )
        self._at = datetime.fromisoformat(told["at"])
        self._visit, self._ad, self._app = told["visit"], told["ad"], told["app"]
        self.messages = Counter(told["messages"])

    def _values(self, events: int, span: timedelta) -> dict[str, str | int]:
        """Return what the SQL of a slice needs to know."""
        visit_share = sum(SHARES[name] for name in VISIT_CONTRACTS)
        each = {
            "visits": visit_share / EVENTS_A_VISIT,
            "ads": SHARES["ad_events"],
            "apps": SHARES["app_events"] / MEAN_APP_EVENTS,
        }
        return {
            "begin": f"timestamptz '{self._at.isoformat()}'",
            "span_us": span // timedelta(microseconds=1),
            "visit": self._visit,
            "ad": self._ad,
            "app": self._app,
            "sites": len(load_sites()),
            "retry": RETRY_EACH,
            **{name: max(1, round(events * share)) for name, share in each.items()},
            **{f"{name}_a_day": max(1, round(self.a_day * share)) for name, share in each.items()},
        }


class _Bronze:
    """One bronze table, and where its partitions stand."""

    def __init__(self, lake: Lake, contract: Contract) -> None:
        self.contract = contract
        self._now = datetime.min.replace(tzinfo=UTC)
        target = Target(
            lake, "bronze", contract.name, bronze_schema(contract), WRITER, PARTITION_BY
        )
        self._table = TransactionalTable(target, WRITER, now=lambda: self._now)
        self._sources = [Source(contract.topic, TOPIC_ID, n) for n in range(PARTITIONS)]
        self._rules = rules_number(contract, None)

    @property
    def messages(self) -> int:
        """Messages that it holds."""
        return sum(self._next_offsets())

    def _next_offsets(self) -> list[int]:
        name = self.contract.name
        stored = [self._table.version_of(one.app_id(WRITER, name)) for one in self._sources]
        return [0 if last is None else last + 1 for last in stored]

    def append(
        self, connection: duckdb.DuckDBPyConnection, sql: str, committed_at: datetime
    ) -> None:
        """Commit the rows of ``sql``, in the order of their arrival, as the writer would."""
        bases = self._next_offsets()
        rows = connection.sql(numbered_from(sql, bases)).to_arrow_table()
        rows = _with_constants(rows, self.contract)
        spans = [
            self._span(source, base, len(range(n, rows.num_rows, PARTITIONS)))
            for n, (source, base) in enumerate(zip(self._sources, bases, strict=True))
        ]
        spans = [span for span in spans if span.record["messages"]]
        self._now = committed_at
        outcome = self._table.commit(spans, rows)
        assert outcome.landed == {span.source for span in spans}, outcome

    def _span(self, source: Source, base: int, count: int) -> Span:
        name = self.contract.name
        rules_id = source.rules_id(WRITER, name)
        marks = (
            Mark(source.app_id(WRITER, name), base - 1 if base else None, base + count - 1),
            Mark(rules_id, self._table.version_of(rules_id), self._rules),
        )
        record: dict[str, Any] = {
            "topic": source.topic,
            "topic_id": source.topic_id,
            "partition": source.partition,
            "first": base,
            "last": base + count - 1,
            "messages": count,
            "rows": count,
            "dead": 0,
        }
        return Span(source, marks, record)


def _with_constants(rows: pa.Table, contract: Contract) -> pa.Table:
    for name, value in (
        ("_topic", contract.topic),
        ("_topic_id", TOPIC_ID),
        ("_contract_version", contract.version),
    ):
        rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.string()), rows.num_rows))
    return rows


def journal_of(lake: Lake) -> Path:
    """Return the file that says how far the history in ``lake`` is, a line for each slice."""
    return Path(lake.root).parent / "history.jsonl"


def main() -> None:
    """Write a history of about so many events, a million a day."""
    root, events = sys.argv[1], int(sys.argv[2])
    history = History(Lake(root), a_day=min(events, 1_000_000))
    while history.total < 0.99 * events:
        history.write_days(1)
        say(f"{history.total:,} messages, up to {history.day}")


if __name__ == "__main__":
    main()
