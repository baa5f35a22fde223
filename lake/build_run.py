"""One dbt invocation's view of the lake: which version of each table all of its models see."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from ingest.contracts.model import Contract
from lake.attached import attached, detach_all
from lake.delta_log import Changes
from lake.duck import quote_name
from lake.increments import Pinned, Plan
from lake.schema import bronze_schema, dead_letter_schema
from lake.tables import DEAD_LETTERS, Lake, Layer

MODELLED: tuple[Layer, ...] = ("silver", "gold")
SCRATCH = "increments"
"""The schema, in memory only, of the views on new rows and of rows about to be written."""


@dataclass(frozen=True, slots=True)
class Lakes:
    """Where a dbt target reads and writes: ``dev`` shares bronze and owns its silver and gold."""

    shared: Lake
    own: Lake
    key_hashes: Path
    """The folder for what is known of the keys in the tables of ``own``."""

    def of(self, layer: Layer) -> Lake:
        """Return the lake that holds ``layer``."""
        return self.own if layer in MODELLED else self.shared


@dataclass(frozen=True, slots=True)
class StagedRows:
    """What an increment of this run changed in a table, still in memory for those who read it."""

    changes: Changes
    """The files of the same rows."""
    came: str
    """The table with the rows that came; one that went too, unchanged, may be among them."""
    gone: str


@dataclass(slots=True)
class BuildRun:
    """The pinned tables and the plans of one dbt invocation; shared by its threads."""

    invocation_id: str
    lakes: Lakes
    contracts: tuple[Contract, ...]
    plans: dict[str, Plan] = field(default_factory=dict)
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The plans as the macros read them, tens of times a model."""
    bucket_sql: dict[str, str] = field(default_factory=dict)
    """For a model that works out itself which buckets it replaces: the query that gives them."""
    kept_sql: dict[str, str] = field(default_factory=dict)
    """For a model that names the rows of its own that it writes again beside those that it makes
    (``and_keeps``): the query that gives them."""
    changed_tables: dict[str, tuple[str, str]] = field(default_factory=dict)
    """For a model that stages the rows that come and go: the tables with them."""
    staged: dict[str, StagedRows] = field(default_factory=dict)
    """By label of the table that was written."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _pins: dict[str, Pinned] = field(default_factory=dict)

    def open(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Pin every table at its head and publish one view for each.

        A bronze table that the writer has not made yet is an empty view, so that the models of a
        lake with one event type run, and give empty tables.
        """
        detach_all(cursor)
        cursor.execute(f"create schema if not exists {quote_name(SCRATCH)}")
        layers: tuple[Layer, ...] = ("bronze", "silver", "gold", "ops")
        for layer in layers:
            cursor.execute(f"create schema if not exists {quote_name(layer)}")
            for name in self.lakes.of(layer).names(layer):
                self.publish(cursor, self.pin(layer, name))
        empty = {contract.name: bronze_schema(contract) for contract in self.contracts}
        for name, schema in {**empty, DEAD_LETTERS: dead_letter_schema()}.items():
            if self.pin("bronze", name).table is None:
                cursor.register(f"_empty_{name}", schema.empty_table())
                cursor.execute(
                    f"create or replace table {quote_name(SCRATCH)}.{quote_name('no_' + name)} as "
                    f"from {quote_name('_empty_' + name)}"
                )
                cursor.unregister(f"_empty_{name}")
                cursor.execute(
                    f"create or replace view bronze.{quote_name(name)} as "
                    f"from {quote_name(SCRATCH)}.{quote_name('no_' + name)}"
                )

    def pin(self, layer: Layer, name: str) -> Pinned:
        """Return the table at the version that this run sees, found on the first call."""
        label = f"{layer}.{name}"
        with self.lock:
            if label not in self._pins:
                lake = self.lakes.of(layer)
                table = lake.open(layer, name) if lake.exists(layer, name) else None
                self._pins[label] = Pinned(lake, layer, name, table)
            return self._pins[label]

    def move(self, cursor: duckdb.DuckDBPyConnection, old: Pinned) -> Pinned:
        """Pin the version that this run has just written, for the models that come after."""
        table = old.table
        if table is None:
            table = DeltaTable(old.uri, storage_options=old.lake.storage_options)
        pinned = Pinned(old.lake, old.layer, old.name, table)
        with self.lock:
            self._pins[old.label] = pinned
        self.publish(cursor, pinned)
        return pinned

    def keep_staged(self, label: str, changes: Changes) -> None:
        """Remember where the changed rows of a table are, which was written by these changes."""
        with self.lock:
            self.staged[label] = StagedRows(changes, *self.changed_tables[label])

    def sides(self, changes: Mapping[str, Changes]) -> dict[str, dict[str, str]]:
        """Return, by label of the table, where the changed rows of just these files are staged."""
        return {
            label: {"came": staged.came, "gone": staged.gone}
            for label, staged in self.staged.items()
            if changes.get(label) == staged.changes
        }

    def publish(self, cursor: duckdb.DuckDBPyConnection, pinned: Pinned) -> None:
        """Make ``<layer>.<name>`` the pinned version of the table."""
        if pinned.table is None:
            return
        table = attached(cursor, pinned)
        with self.lock:
            cursor.execute(
                f"create or replace view {quote_name(pinned.layer)}.{quote_name(pinned.name)} "
                f"as from {table}"
            )
