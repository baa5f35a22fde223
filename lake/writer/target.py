"""A table that the writer fills: made once, recognised later, widened when its contract grows."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable
from deltalake import Field as DeltaField
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError

from lake.errors import (
    CommitError,
    ForeignTableError,
    LakePathError,
    SchemaConflictError,
    in_one_line,
)
from lake.tables import Lake, Layer

logger = logging.getLogger(__name__)

ROLE: Final = "lakeward.role"
"""Table property by which lakeward knows a table as its own; its value is ``<layer>/<name>``."""

WRITER: Final = "lakeward.writer"
"""Table property naming the writer whose transaction ids the table holds."""

LOG_PROPERTIES: Final = {
    "delta.checkpointInterval": "20",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}
"""How a table is told to keep its log, for commits that stay quick.

With deltalake 1.6.6 each commit since the last checkpoint makes the next one 0.15 ms slower; and a
checkpoint costs 14 us for each replaced file that it remembers, of which a commit a second makes
86,400 a day. Vacuum does not go by that memory; see ``lake.maintenance.vacuum``."""

ATTEMPTS: Final = 10
"""How often to look again when another writer makes or widens the table at the same moment."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a table must look like, and the way to a handle on it."""

    lake: Lake
    layer: Layer
    name: str
    schema: pa.Schema
    writer: str
    partition_by: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The address of the table."""
        return self.lake.uri(self.layer, self.name)

    def open(self) -> DeltaTable:
        """Return a new handle on the table's head, after making or widening it where needed.

        A column that the contract has and the table lacks is added in a commit of its own, before
        any row that needs it. Two writers may do so at once: the loser looks again.

        Raises:
            LakePathError: the place of the table cannot be read or written.
            ForeignTableError: something is there that this writer did not make.
            SchemaConflictError: a column has another type than the contract says.
            CommitError: others kept changing the table at the same moment.
        """
        try:
            return self._open()
        except (DeltaError, OSError) as error:
            raise LakePathError(
                f"cannot open or make the table at {self.uri}: {in_one_line(error)}",
                hint="Is the lake reachable and writable? LAKEWARD_LAKE_ROOT says where it is, and "
                "for an object store the AWS_* variables say how to get in.",
            ) from error

    def _open(self) -> DeltaTable:
        for _ in range(ATTEMPTS):
            if not DeltaTable.is_deltatable(self.uri, self.lake.storage_options):
                self._refuse_strange_files()
                try:
                    self._create()
                except (DeltaError, OSError):
                    if not DeltaTable.is_deltatable(self.uri, self.lake.storage_options):
                        raise
                    logger.info("table_made_by_another", extra={"table": self.uri})
            table = DeltaTable(self.uri, storage_options=self.lake.storage_options)
            self._recognise(table)
            missing = self._missing(table)
            if not missing:
                return table
            try:
                table.alter.add_columns(missing)
            except CommitFailedError:
                logger.info("schema_changed_by_another", extra={"table": self.uri})
                continue
            logger.info(
                "columns_added", extra={"table": self.uri, "columns": [f.name for f in missing]}
            )
        raise CommitError(
            f"the columns of {self.uri} kept changing while this writer wanted to add its own",
            hint="Do writers with different contracts run in turns? Stop the older ones.",
        )

    def _create(self) -> None:
        DeltaTable.create(
            self.uri,
            self.schema,
            mode="error",
            partition_by=list(self.partition_by),
            name=self.name,
            description=f"lakeward {self.layer} table {self.name}",
            configuration={
                # `lakeward audit` reads the range of offsets that each commit recorded
                "delta.enableExpiredLogCleanup": "false",
                **LOG_PROPERTIES,
                ROLE: f"{self.layer}/{self.name}",
                WRITER: self.writer,
            },
            storage_options=self.lake.storage_options,
            raise_if_key_not_exists=False,
        )

    def _refuse_strange_files(self) -> None:
        if self.lake.is_remote:
            return
        folder = Path(self.uri)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if (folder / "_delta_log").exists():
                return  # another writer is making the table right now
            raise ForeignTableError(
                f"there are files at {self.uri} that are no Delta table",
                hint="Move them away, or set LAKEWARD_LAKE_ROOT to another place.",
            )

    def _recognise(self, table: DeltaTable) -> None:
        properties = table.metadata().configuration
        if properties.get(ROLE) != f"{self.layer}/{self.name}":
            raise ForeignTableError(
                f"the Delta table at {self.uri} was not made by lakeward",
                hint="Move it away, or set LAKEWARD_LAKE_ROOT to another place.",
            )
        if properties.get(WRITER) != self.writer:
            raise ForeignTableError(
                f"the table at {self.uri} is filled by the writer "
                f"{properties.get(WRITER)!r}, and this one is called {self.writer!r}; it would "
                "read every topic again from its start",
                hint=f"Set LAKEWARD_WRITER_NAME={properties.get(WRITER)}, or use another lake.",
            )

    def _missing(self, table: DeltaTable) -> list[DeltaField]:
        there = {field.name: field for field in table.schema().fields}
        wanted = DeltaSchema.from_arrow(self.schema).fields
        for field in wanted:
            if field.name in there and there[field.name].type != field.type:
                raise SchemaConflictError(
                    f"column {field.name} of {self.uri} has the type "
                    f"{_named(there[field.name])}, and its contract now says {_named(field)}",
                    hint="A contract may add columns, not retype them: give the column a new name.",
                )
        return [field for field in wanted if field.name not in there]


def _named(field: DeltaField) -> str:
    return str(getattr(field.type, "type", field.type))


def check_writable(lake: Lake) -> None:
    """Return when a file can be made below the lake root; object stores tell at the first write.

    Raises:
        LakePathError: it cannot.
    """
    if lake.is_remote:
        return
    try:
        os.makedirs(lake.root, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=lake.root, prefix=".writable-"):
            pass
    except OSError as error:
        raise LakePathError(
            f"cannot write to the lake at {lake.root}: {error.strerror or error}",
            hint="Make the folder writable, or set LAKEWARD_HOME or LAKEWARD_LAKE_ROOT.",
        ) from error
