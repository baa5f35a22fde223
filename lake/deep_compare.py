"""Hold some messages of Kafka against what the lake has of their offsets, value for value.

Nothing is hashed: both sides are at hand, so they are compared themselves. A dead letter keeps the
bytes of its message, which are compared as they are. A row keeps typed columns, so the message is
decoded again and each column is compared, ``_rescued`` and Kafka's timestamp among them; together
these hold all that the message said. The message of a row that was replayed is first mended in the
way that the replay recorded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.contracts import reasons
from ingest.contracts.model import Contract
from lake.dead_letters.history import HISTORY
from lake.dead_letters.mend import CannotMendError, Kept, Mender
from lake.dead_letters.mending import parse_mending
from lake.schema import RESCUED, decoded_schema
from lake.writer.decode import Decoder, headers_texts
from lake.writer.messages import Messages
from lake.writer.source import Source

EXAMPLES: Final = 10
"""Differences that are kept to be shown; their count is exact."""

FATE: Final = "_fate"
"""Stands for a column where row and dead letter disagree, in a difference."""

TWICE: Final = "_twice"
A_ROW: Final = "a row"


@dataclass(frozen=True, slots=True)
class Difference:
    """An offset whose message in Kafka is not what the lake has."""

    table: str
    source: Source
    offset: int
    version: str
    """The contract version that wrote it."""
    columns: tuple[str, ...]
    what: str


@dataclass(slots=True)
class Comparison:
    """What comparing some messages of one source came to."""

    compared: int = 0
    """Messages whose content was held against the lake: equal and different ones."""
    equal: int = 0
    different: int = 0
    missing: int = 0
    """Messages in Kafka that are not in the lake, at offsets up to the stored one."""
    gone: int = 0
    """Offsets in the lake that Kafka no longer delivers: expired, or compacted away."""
    replayed: int = 0
    """Rows that were dead letters first: their messages are mended as they were, and compared."""
    accepted_gap: int = 0
    """Messages at offsets that a person accepted as lost, and that are in Kafka after all."""
    erased: int = 0
    """Messages in Kafka whose rows or dead letters were erased with their tenant."""
    older: Counter[str] = field(default_factory=Counter)
    """Compared rows by the older contract version that wrote them."""
    newer: Counter[str] = field(default_factory=Counter)
    """Rows that were not compared, by the contract version, newer than the one at hand."""
    differences: list[Difference] = field(default_factory=list)
    """The first of them."""
    missing_offsets: list[int] = field(default_factory=list)
    """The first of them."""

    def add(self, other: Comparison) -> None:
        """Take in another comparison of the same source."""
        self.compared += other.compared
        self.equal += other.equal
        self.different += other.different
        self.missing += other.missing
        self.gone += other.gone
        self.replayed += other.replayed
        self.accepted_gap += other.accepted_gap
        self.erased += other.erased
        self.older += other.older
        self.newer += other.newer
        self.differences = (self.differences + other.differences)[:EXAMPLES]
        self.missing_offsets = (self.missing_offsets + other.missing_offsets)[:EXAMPLES]


class Comparer:
    """Compares the messages of one contract; for use by one thread at a time.

    Which tenants were known when a message was written is not kept, so every tenant counts as
    known here: that decides only between row and dead letter, and never what a row holds.
    """

    def __init__(self, contract: Contract, table: str) -> None:
        self._contract = contract
        self._table = table
        self._decoders: dict[frozenset[str], Decoder] = {}
        self._menders: dict[str, Mender] = {}
        schema = decoded_schema(contract)
        self._schema = pa.schema([f for f in schema if f.name not in _NOT_COMPARED])
        self._duckdb = duckdb.connect(config={"threads": 1})
        self._duckdb.execute("SET TimeZone = 'UTC'")

    def close(self) -> None:
        """Give back what is held."""
        for decoder in self._decoders.values():
            decoder.close()
        self._duckdb.close()

    def compare(
        self,
        source: Source,
        messages: Messages,
        rows: pa.Table,
        dead: pa.Table,
        mendings: Mapping[int, str | None] = MappingProxyType({}),
    ) -> Comparison:
        """Compare messages with the bronze rows and dead letters of the same range of offsets.

        ``mendings`` has the steps, if any, that mended each letter which was replayed, by offset.
        """
        found = Comparison()
        in_kafka = messages.offset.to_numpy()
        came_back = np.array(sorted(mendings), np.int64)
        is_back = np.isin(rows["_offset"].to_numpy(), came_back)
        back, rows_as_sent = rows.filter(pa.array(is_back)), rows.filter(pa.array(~is_back))
        in_rows, in_dead = rows_as_sent["_offset"].to_numpy(), dead["_offset"].to_numpy()
        in_back = back["_offset"].to_numpy()
        in_lake, times = np.unique(np.concatenate([in_rows, in_dead]), return_counts=True)
        twice = {*in_lake[times > 1].tolist()}
        again, back_times = np.unique(in_back, return_counts=True)
        twice |= {*again[back_times > 1].tolist()}
        in_lake = np.union1d(in_lake, again)
        found.gone = int(np.count_nonzero(~np.isin(in_lake, in_kafka)))
        missing = in_kafka[~np.isin(in_kafka, in_lake)]
        found.missing = len(missing)
        found.missing_offsets = missing[:EXAMPLES].tolist()
        bad: dict[int, tuple[str, ...]] = {
            offset: (TWICE,) for offset in sorted(twice) if offset in in_kafka
        }
        bad |= self._rows_that_differ(messages, rows_as_sent, found)
        bad |= self._dead_that_differ(messages, dead)
        if len(again):
            mended, cannot = self._mended(messages, again, mendings)
            bad |= dict.fromkeys(cannot, (FATE, "a step of its mending cannot be taken"))
            bad |= self._rows_that_differ(mended, back, found)
            found.replayed = int(np.count_nonzero(np.isin(again, in_kafka)))
        left_out = sum(found.newer.values())
        found.compared = len(in_kafka) - found.missing - left_out
        found.different = len(bad)
        found.equal = found.compared - found.different
        found.differences = [
            self._difference(source, offset, bad[offset], rows, dead)
            for offset in sorted(bad)[:EXAMPLES]
        ]
        return found

    def _mended(
        self, messages: Messages, offsets: np.ndarray[Any, Any], mendings: Mapping[int, str | None]
    ) -> tuple[Messages, list[int]]:
        """Return the messages at ``offsets`` as their replay mended them, and which it cannot."""
        theirs = messages.select(np.isin(messages.offset.to_numpy(), offsets))
        payloads: list[bytes | None] = []
        cannot: list[int] = []
        for offset, payload, key, appended_at in zip(
            theirs.offset.to_pylist(),
            theirs.value.to_pylist(),
            theirs.key.to_pylist(),
            theirs.appended_at.to_pylist(),
            strict=True,
        ):
            steps = mendings[offset]
            if steps is not None:
                if steps not in self._menders:
                    mending = parse_mending(json.loads(steps), HISTORY)
                    self._menders[steps] = Mender(mending, self._contract)
                try:
                    payload = self._menders[steps].mend(payload, Kept(appended_at, key)).payload
                except CannotMendError:
                    cannot.append(offset)
            payloads.append(payload)
        mended = replace(theirs, value=pa.array(payloads, pa.binary()))
        return mended.select(~np.isin(mended.offset.to_numpy(), cannot)), cannot

    def _rows_that_differ(
        self, messages: Messages, rows: pa.Table, found: Comparison
    ) -> dict[int, tuple[str, ...]]:
        """Return the columns that differ by offset; rows of other versions are judged apart."""
        bad: dict[int, tuple[str, ...]] = {}
        rows = rows.filter(pc.is_in(rows["_offset"], value_set=messages.offset))
        for version in pc.unique(rows["_contract_version"]).to_pylist():
            theirs = rows.filter(pc.equal(rows["_contract_version"], version))
            of_them = messages.select(
                np.isin(messages.offset.to_numpy(), theirs["_offset"].to_numpy())
            )
            if _is_newer(version, self._contract.version):
                found.newer[version] += len(of_them)
                continue
            differ = self._differ(of_them, theirs, frozenset())
            if version != self._contract.version:
                found.older[version] += len(of_them)
                lacking = self._columns_that_it_lacked(theirs)
                if differ and lacking:
                    again = self._differ(of_them, theirs, lacking)
                    differ = {
                        offset: min(differ[offset], again[offset], key=len)
                        for offset in differ.keys() & again.keys()
                    }
            bad |= differ
        return bad

    def _differ(
        self, messages: Messages, stored: pa.Table, lacking: frozenset[str]
    ) -> dict[int, tuple[str, ...]]:
        decoded = self._decoder(lacking).decode(messages)
        expected = _shaped(decoded.rows, self._schema)
        fates = {offset: (FATE, reason) for offset, reason in _reasons(decoded.dead).items()}
        return fates | self._columns_that_differ(expected, _shaped(stored, self._schema))

    def _dead_that_differ(self, messages: Messages, dead: pa.Table) -> dict[int, tuple[str, ...]]:
        """Return what differs by offset: the bytes, or the reason where it can be told again."""
        of_them = messages.select(np.isin(messages.offset.to_numpy(), dead["_offset"].to_numpy()))
        if not len(of_them):
            return {}
        known = set(of_them.offset.to_pylist())
        expected = pa.table(
            {
                "_offset": of_them.offset,
                "payload": of_them.value.cast(pa.binary()),
                "key": of_them.key.cast(pa.binary()),
                "headers": pa.array(headers_texts(of_them, range(len(of_them))), pa.string()),
                "_appended_at": of_them.appended_at,
            }
        )
        bad = self._columns_that_differ(expected, _shaped(dead, expected.schema))
        now = _reasons(self._decoder(frozenset()).decode(of_them).dead)
        for offset, reason in _reasons(self._whose_reason_can_be_told(dead)).items():
            if offset in known and now.get(offset) != reason:
                bad.setdefault(offset, (FATE, now.get(offset, A_ROW)))
        return bad

    def _whose_reason_can_be_told(self, dead: pa.Table) -> pa.Table:
        return dead.filter(
            pc.and_(
                pc.equal(dead["contract"], self._contract.name),
                pc.and_(
                    pc.equal(dead["_contract_version"], self._contract.version),
                    pc.not_equal(dead["reason"], reasons.UNKNOWN_TENANT),
                ),
            )
        )

    def _columns_that_differ(
        self, expected: pa.Table, stored: pa.Table
    ) -> dict[int, tuple[str, ...]]:
        names = [name for name in expected.column_names if name != "_offset"]
        listed = ", ".join(
            f"CASE WHEN e.{_quoted(n)} IS DISTINCT FROM s.{_quoted(n)} THEN {_literal(n)} END"
            for n in names
        )
        self._duckdb.register("expected", expected)
        self._duckdb.register("stored", stored)
        try:
            found = self._duckdb.execute(
                "SELECT o, d FROM (SELECT s._offset AS o, "
                f"list_filter([{listed}], lambda n: n IS NOT NULL) AS d "
                "FROM expected e JOIN stored s ON e._offset = s._offset) WHERE len(d) > 0"
            ).fetchall()
        finally:
            self._duckdb.unregister("expected")
            self._duckdb.unregister("stored")
        return {offset: tuple(columns) for offset, columns in found}

    def _columns_that_it_lacked(self, stored: pa.Table) -> frozenset[str]:
        """Return the columns that an older version of the contract evidently had not.

        A contract may only add columns (ADR 002). One that was added later is null in every row of
        the older version, and its member, where a message had one, is in ``_rescued``.
        """
        names = set(stored.column_names)
        empty = [
            f
            for f in self._contract.fields
            if f.name not in names or stored[f.name].null_count == stored.num_rows
        ]
        members: set[str] = set()
        for text in stored[RESCUED].drop_null().to_pylist():
            members.update(json.loads(text))
        return frozenset(f.name for f in empty if f.payload_name in members)

    def _decoder(self, lacking: frozenset[str]) -> Decoder:
        if lacking not in self._decoders:
            fields = tuple(f for f in self._contract.fields if f.name not in lacking)
            self._decoders[lacking] = Decoder(replace(self._contract, fields=fields), None)
        return self._decoders[lacking]

    def _difference(
        self,
        source: Source,
        offset: int,
        columns: tuple[str, ...],
        rows: pa.Table,
        dead: pa.Table,
    ) -> Difference:
        in_rows = pc.index(rows["_offset"], offset).as_py()
        in_dead = pc.index(dead["_offset"], offset).as_py()
        table, at, where = (
            (rows, in_rows, self._table) if in_rows >= 0 else (dead, in_dead, "dead_letters")
        )
        version = table["_contract_version"][at].as_py()
        if columns[0] == TWICE:
            what = "is in the lake more than once"
        elif columns[0] == FATE and in_rows >= 0:
            what = f"is a row, and its message is a dead letter ({columns[1]})"
        elif columns[0] == FATE:
            reason = dead["reason"][in_dead].as_py()
            what = f"is a dead letter ({reason}), and its message is {_article(columns[1])}"
        else:
            what = f"differs in {', '.join(columns)}"
        shown = columns if columns[0] not in (TWICE, FATE) else ()
        return Difference(where, source, offset, version, shown, what)


_NOT_COMPARED: Final = frozenset({"_topic", "_topic_id", "_partition", "_contract_version"})
"""The first three chose the rows; the last is told beside a difference."""


def _article(fate: str) -> str:
    return fate if fate == A_ROW else f"one for another reason ({fate})"


def _shaped(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the columns of ``schema``, null where there is none; doubles as their bits.

    So 0.0 and -0.0 differ, as their texts do.
    """
    columns: list[Any] = []
    for wanted in schema:
        if wanted.name not in table.column_names:
            column = pa.nulls(table.num_rows, wanted.type)
        else:
            column = table[wanted.name].cast(wanted.type).combine_chunks()
        if wanted.type == pa.float64():
            column = column.view(pa.int64())
        columns.append(column)
    return pa.table(columns, names=schema.names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_newer(version: str, than: str) -> bool:
    return _numbers(version) > _numbers(than)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split("+")[0].split("-")[0].split(".")]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _reasons(dead: pa.Table) -> dict[int, str]:
    """Return the reason of each dead letter by its offset."""
    return dict(zip(dead["_offset"].to_pylist(), dead["reason"].to_pylist(), strict=True))
