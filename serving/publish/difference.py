"""What is to be sent so that a topic holds a table: rows that are new or changed, keys that went.

The usual way looks at the files that came and went between two versions of the table. Gold writes
its days whole, so a file that came repeats rows of one that went; only what differs is kept. The
cost is that of the days that were written, not of the table.

Where the log cannot tell, the table is compared with the topic itself: that is always right, and
costs a look at all of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import duckdb
import pyarrow as pa
from confluent_kafka import Message
from deltalake import DeltaTable

from ingest.settings import IngestSettings
from lake.delta_log import LogGoneError, locate_files, read_changes, read_commit_infos
from lake.duck import delta_scan, quote_name
from lake.erasure.mark import mark_in
from lake.file_rows import column_types, rows_of_files
from lake.tables import Lake
from serving.errors import MartError, PublishError
from serving.mart import LAYER, Mart
from serving.publish.encoding import json_text, shape
from serving.publish.position import Position
from serving.publish.reading import read_to_end

TABLE_HEADER: Final = "lakeward.table"
VERSION_HEADER: Final = "lakeward.version"
ROWS_AT_ONCE: Final = 10_000

Basis = Literal["versions", "topic"]
Change = tuple[str, str | None]
"""A key and its row, both JSON; None for a row that went."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is to be sent."""

    upserts: int
    tombstones: int


class Difference:
    """The changes of one table, kept in a DuckDB database until they are sent."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, lake: Lake, mart: Mart, table: DeltaTable
    ) -> None:
        """Look at the columns.

        Raises:
            MartError: the key names a column that the table does not have.
        """
        self._cursor = cursor
        self._lake = lake
        self._mart = mart
        self._table = table
        self._uri = lake.uri(LAYER, mart.name)
        self._types = column_types(cursor, delta_scan(self._uri, table.version()))
        mart.require_key(self._types)
        self._key = json_text(mart.key, self._types)
        self._row = json_text(self._types, self._types)
        self.shape = shape(mart.key, self._types)

    def why_not_by_version(self, position: Position | None, topic_id: str) -> str | None:
        """Return why the log alone cannot tell what changed since ``position``; None: it can."""
        label = self._mart.label
        if position is None:
            return "there is no position: nothing was published before"
        if position.topic_id != topic_id:
            return "the topic was made anew"
        if position.table_id != str(self._table.metadata().id):
            return f"{label} was made anew"
        if not position.is_complete:
            return "the last publication was cut short"
        if position.shape != self.shape:
            return "the columns or the key have changed"
        if position.version > self._table.version():
            return f"{label} went back from version {position.version}"
        infos = read_commit_infos(self._table, position.version, self._lake.storage_options)
        if any(mark_in(info) is not None for _, info in infos):
            return "a tenant was erased"
        if any(info.get("operation") == "RESTORE" for _, info in infos):
            return f"{label} was restored to an earlier version"
        return None

    def by_version(self, version: int) -> Counts:
        """Stage what changed after ``version``.

        Raises:
            LogGoneError: a commit or a data file that is needed has been cleaned up.
            MartError: the key is none.
        """
        options = self._lake.storage_options
        changes = read_changes(self._table, version, options)
        partitions = self._table.metadata().partition_columns
        for name, files in (("came", changes.added), ("went", changes.removed)):
            addresses = locate_files(self._table, files, options)
            rows = rows_of_files(self._types, partitions, addresses)
            self._cursor.execute(f"create or replace view {name} as {rows}")
        try:
            for name, sql in (
                ("new_rows", "from came except all from went"),
                ("old_rows", "from went except all from came"),
            ):
                self._cursor.execute(f"create or replace temp table {name} as {sql}")
        except duckdb.IOException as error:
            raise LogGoneError(f"a file is gone: {error}") from error
        self._cursor.execute(
            f"create or replace table changes as "
            f"select {self._key} as key, {self._row} as value from new_rows"
        )
        self._refuse_doubles("changes")
        self._cursor.execute(
            f"insert into changes select distinct {self._key} as key, null from old_rows "
            "where key not in (select key from changes)"
        )
        return self._counts()

    def by_topic(
        self,
        settings: IngestSettings,
        topic: str,
        partitions: int,
        *,
        on_read: Callable[[int], None],
        is_stopping: Callable[[], bool],
    ) -> Counts:
        """Stage what makes the topic, as it is, the table.

        Raises:
            PublishError: the topic holds messages of something else.
            BrokerError: the broker does not answer.
            MartError: the key is none.
        """
        scan = delta_scan(self._uri, self._table.version())
        self._cursor.execute(
            f"create or replace table wanted as "
            f"select {self._key} as key, {self._row} as value from {scan}"
        )
        self._refuse_doubles("wanted")
        self._cursor.execute(
            "create or replace table sent (number bigint, key varchar, digest uhugeint)"
        )
        count = 0
        for messages in read_to_end(settings, topic, partitions, is_stopping):
            for message in messages:
                self._refuse_foreign(topic, message)
            batch = pa.table(
                {
                    "number": pa.array(range(count, count + len(messages)), pa.int64()),
                    "key": pa.array([one.key() for one in messages], pa.binary()).cast(pa.string()),
                    "value": pa.array([one.value() for one in messages], pa.binary()).cast(
                        pa.string()
                    ),
                }
            )
            self._cursor.register("batch", batch)
            self._cursor.execute(
                "insert into sent select number, key, md5_number(value) from batch"
            )
            self._cursor.unregister("batch")
            count += len(messages)
            on_read(count)
        self._cursor.execute(
            """
            create or replace table held as
            select key, arg_max_null(digest, number) as digest from sent group by key;

            create or replace table changes as
            select wanted.key, wanted.value
            from wanted left join held on held.key = wanted.key
            where held.digest is distinct from md5_number(wanted.value)
            union all
            select key, null from held
            where digest is not null and key not in (select key from wanted);
            """
        )
        return self._counts()

    def changes(self) -> Iterator[Change]:
        """Yield what was staged."""
        result = self._cursor.execute("select key, value from changes")
        while rows := result.fetchmany(ROWS_AT_ONCE):
            yield from rows

    def _refuse_doubles(self, table: str) -> None:
        double = self._cursor.execute(
            f"select key, count(*) from {quote_name(table)} group by key "
            "having count(*) > 1 limit 1"
        ).fetchone()
        if double is not None:
            raise MartError(
                f"{self._mart.label} has {double[1]} rows with the key {double[0]}",
                hint=f"its key is declared as {', '.join(self._mart.key)}; `lakeward build` tests "
                "it, and a full refresh makes the table anew",
            )

    def _refuse_foreign(self, topic: str, message: Message) -> None:
        headers = dict(message.headers() or ())
        if headers.get(TABLE_HEADER) != self._mart.label.encode():
            where = f"partition {message.partition()}, offset {message.offset()}"
            raise PublishError(
                f"the topic {topic!r} holds messages that are not of {self._mart.label} ({where})",
                hint="Publish to a topic of its own: lakeward removes what is not in the table.",
            )

    def _counts(self) -> Counts:
        row = self._cursor.execute(
            "select count(value), count(*) - count(value) from changes"
        ).fetchone()
        assert row is not None
        return Counts(int(row[0]), int(row[1]))
