"""The dbt-duckdb plugin that lets plain dbt build Delta tables.

dbt runs DuckDB in memory; the Delta tables are the only state. The plugin publishes one view per
table, pinned for the whole run, tells a model what it has to do, and writes what the model
selects. The macros of ``dbt_project/macros/delta`` talk to it through ``adapter.store_relation``,
the one call from Jinja to a plugin: the ``format`` names the verb, ``config`` carries the
question, and the plugin puts the answer into ``config["answer"]``.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig
from dbt.flags import get_flags
from dbt_common.invocation import get_invocation_id

from ingest.contracts.registry import load_contracts
from ingest.settings import IngestSettings
from lake.attached import attached
from lake.build_run import SCRATCH, BuildRun
from lake.build_write import buckets_of, write
from lake.dbt_lakes import lakes_of_run
from lake.delta_log import read_changes
from lake.duck import prepare, quote_name, quote_text
from lake.errors import BuildError
from lake.file_rows import column_types, rows_of_files
from lake.increments import NEVER, DateRange, Plan, Reach, has_read_all, plan
from lake.key_hashes import KeyHashes
from lake.live_texts import LiveText, keep_texts
from lake.model_table import append
from lake.tables import LAYERS, Layer

logger = logging.getLogger(__name__)


class Plugin(BasePlugin):
    """Reads and writes the lake for dbt."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take from the profile whether the target is the ``dev`` one, which owns its tables."""
        if "lake_root" in plugin_config:
            raise BuildError(
                "the profile names a lake_root, and no profile says where the lake is",
                hint="Set LAKEWARD_LAKE_ROOT or LAKEWARD_HOME instead (dbt_project/profiles.yml).",
            )
        self._lakes = lakes_of_run(is_dev=plugin_config["is_dev"])
        self._lock = threading.RLock()
        self._thread = threading.local()
        self._run: BuildRun | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Load the delta extension and set UTC, once a database."""
        self._connection = conn
        # DuckDB's own default is the working directory, which is the dbt project.
        spill = Path(tempfile.gettempdir()) / f"lakeward-duckdb-{os.getpid()}"
        conn.execute(f"SET temp_directory = {quote_text(str(spill))}")
        prepare(conn, self._lakes.shared)
        if self._lakes.own.is_remote and not self._lakes.shared.is_remote:
            prepare(conn, self._lakes.own)

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Set UTC, which a cursor does not inherit; the first one of a run publishes the views."""
        cursor.execute("SET TimeZone = 'UTC'")
        invocation = get_invocation_id()
        with self._lock:
            if self._run is None or self._run.invocation_id != invocation:
                contracts = load_contracts(IngestSettings().contracts_dir)
                self._run = BuildRun(invocation, self._lakes, tuple(contracts))
                self._run.open(cursor)

    def store(self, target_config: TargetConfig) -> None:
        """Answer a macro: what a model has to do, what its contract says, write this."""
        request = target_config.config
        assert target_config.location is not None
        verb = target_config.location.format
        label = f"{target_config.relation.schema}.{target_config.relation.identifier}"
        answer = request["answer"]
        if verb == "plan":
            answer.update(self._plan(label, request))
        elif verb == "contract":
            answer["columns"] = self._contract(label.partition(".")[2])
        elif verb == "buckets":
            self._current().bucket_sql[label] = request["sql"]
        elif verb == "keeps":
            self._current().kept_sql[label] = request["sql"]
        elif verb == "changes":
            self._current().changed_tables[label] = (request["came"], request["gone"])
        elif verb == "read_buckets":
            found = buckets_of(self._cursor, request["sql"])
            answer["buckets"] = sorted((name, str(day)) for name, day in found)
        elif verb == "near":
            answer["sql"] = self._near(request["label"], request["key"], request["staged"])
        elif verb == "settled":
            run = self._current()
            answer["settled"] = all(
                has_read_all(run.pin(*_split(reader)), [run.pin(*_split(name)) for name in names])
                for reader, names in request["read"].items()
            )
        elif verb == "advance":
            answer.update(self._advance(label))
        elif verb == "live_views":
            keep_texts(self._lakes.own, [_live_text(text) for text in request["texts"]])
        elif verb == "write":
            answer.update(self._write(label, request))
        else:
            raise BuildError(f"the macros ask the plugin for {verb!r}, which it does not know")

    def _contract(self, name: str) -> list[dict[str, Any]]:
        """Return what a contract says about its columns."""
        for contract in self._current().contracts:
            if contract.name == name:
                return [
                    {
                        "name": column.name,
                        "required": column.required,
                        "is_key": column.name in contract.key,
                        "allowed": list(column.allowed),
                    }
                    for column in contract.fields
                ]
        known = ", ".join(contract.name for contract in self._current().contracts)
        raise BuildError(f"there is no contract {name}", hint=f"there are: {known}")

    def _plan(self, label: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return what the macros need to know of the model's plan, which the first call makes."""
        run = self._current()
        with run.lock:
            if label in run.described:
                return run.described[label]
        flags = get_flags()  # type: ignore[no-untyped-call]
        if getattr(flags, "EMPTY", False) or getattr(flags, "SAMPLE", None):
            raise BuildError(
                "--empty and --sample are not for Delta models: rows left out would count as read",
                hint="try a model on the dev target instead: dbt build --target dev",
            )
        upstreams = tuple(run.pin(*_split(name)) for name in request["upstreams"])
        made = plan(
            run.pin(*_split(label)),
            upstreams,
            reads=request["reads"],
            whole=frozenset(request["whole"]),
            reaches=_reaches(label, request),
            rebuild=request["rebuild"],
            full_refresh=request["full_refresh"],
            dates=_dates(flags),
        )
        with run.lock:
            run.plans[label] = made
        for name, files in made.new_files.items():
            self._publish_rows(name, files, new_rows_view(made, name))
        for name, files in made.old_files.items():
            self._publish_rows(name, files, old_rows_view(made, name))
        described = self._describe(made)
        with run.lock:
            run.described[label] = described
        return described

    def _publish_rows(self, label: str, paths: list[str], view: str) -> None:
        """Make ``view`` the rows of these files of ``label``, as the pinned version has them."""
        pinned = self._current().pin(*_split(label))
        assert pinned.table is not None
        types = column_types(self._cursor, attached(self._cursor, pinned))
        sql = rows_of_files(types, pinned.table.metadata().partition_columns, paths)
        with self._current().lock:
            self._cursor.execute(f"create or replace view {view} as {sql}")

    def _describe(self, made: Plan) -> dict[str, Any]:
        """Return a plan as plain values."""
        answer: dict[str, Any] = {
            "mode": made.mode,
            "reason": made.reason,
            "nothing": made.has_nothing_to_do,
            "views": {label: new_rows_view(made, label) for label in made.new_files},
            "follows_backfill": made.follows_backfill,
            "old_views": {label: old_rows_view(made, label) for label in made.old_files},
            "first": str(made.dates.first) if made.dates else None,
            "last": str(made.dates.last) if made.dates else None,
            "staged": self._current().sides(made.changes),
            "buckets": None,
        }
        if made.mode == "increment" and not made.new_files:
            answer["buckets"] = sorted((name, str(day)) for name, day in made.buckets())
        return answer

    def _near(self, label: str, key: Sequence[str], staged: str) -> str:
        """Return a query of the rows of all files that may hold a key of a staged table."""
        run = self._current()
        pinned = run.pin(*_split(label))
        types = column_types(self._cursor, attached(self._cursor, pinned))
        folder = run.lakes.key_hashes / label
        return KeyHashes(folder, pinned, key, types).rows_near(self._cursor, staged)

    def _advance(self, label: str) -> dict[str, Any]:
        """Record that the upstreams were read although they brought nothing."""
        run = self._current()
        made = run.plans[label]
        if not made.has_progress:
            return {"rows": 0, "message": "nothing new"}
        assert made.own.table is not None
        schema = made.own.table.schema().to_arrow()
        append(made, pa.schema(schema).empty_table().to_reader())
        run.move(self._cursor, made.own)
        return {"rows": 0, "message": "nothing new, progress recorded"}

    def _write(self, label: str, request: dict[str, Any]) -> dict[str, Any]:
        run = self._current()
        made = run.plans[label]
        before = made.own.table.version() if made.own.table is not None else NEVER
        result = write(
            self._cursor,
            made,
            request,
            key_hashes=run.lakes.key_hashes / label,
            bucket_sql=run.bucket_sql.get(label),
            kept_sql=run.kept_sql.get(label),
        )
        pinned = run.move(self._cursor, made.own)
        assert pinned.table is not None
        if made.mode == "increment" and label in run.changed_tables:
            options = pinned.lake.storage_options
            run.keep_staged(label, read_changes(pinned.table, before, options))
        reason = f" ({made.reason})" if made.reason else ""
        return {
            "rows": result.rows,
            "version": pinned.table.version(),
            "message": f"{result.what} {result.rows} rows{reason}",
        }

    def _current(self) -> BuildRun:
        assert self._run is not None
        return self._run

    @property
    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of this thread's own: dbt opens its own only when a model runs SQL."""
        run = self._current()
        if getattr(self._thread, "run", None) is not run:
            assert self._connection is not None
            self._thread.cursor = self._connection.cursor()
            self._thread.cursor.execute("SET TimeZone = 'UTC'")
            self._thread.run = run
        cursor: duckdb.DuckDBPyConnection = self._thread.cursor
        return cursor


def new_rows_view(made: Plan, label: str) -> str:
    """Return the name of the view on what ``label`` has new for the model."""
    return f"{quote_name(SCRATCH)}.{quote_name(f'{made.own.name}__{label}')}"


def old_rows_view(made: Plan, label: str) -> str:
    """Return the name of the view on the rows of ``label`` that went."""
    return f"{quote_name(SCRATCH)}.{quote_name(f'{made.own.name}__{label}__old')}"


def _split(label: str) -> tuple[Layer, str]:
    layer, _, name = label.partition(".")
    for known in LAYERS:
        if layer == known:
            return known, name
    raise BuildError(
        f"{label}: there is no layer {layer}", hint="put the model below models/silver or /gold"
    )


def _reaches(label: str, request: dict[str, Any]) -> dict[str, Reach]:
    """Return ``meta.touches`` of a model: upstream -> ``days_before`` and ``days_after``."""
    unknown = sorted(request["touches"].keys() - set(request["upstreams"]))
    if unknown:
        raise BuildError(
            f"{label}: meta.touches names {', '.join(unknown)}, which it does not read",
            hint=f"it reads {', '.join(request['upstreams'])}",
        )
    for name, days in request["touches"].items():
        if not days.keys() <= {"days_before", "days_after"}:
            raise BuildError(f"{label}: meta.touches of {name} takes days_before and days_after")
    return {name: Reach(**days) for name, days in request["touches"].items()}


def _live_text(text: dict[str, Any]) -> LiveText:
    return LiveText(text["kind"], text["name"], tuple(text["key"]), str(text["sql"]))


def _dates(flags: Any) -> DateRange | None:
    start: datetime | None = getattr(flags, "EVENT_TIME_START", None)
    end: datetime | None = getattr(flags, "EVENT_TIME_END", None)
    if start is None or end is None:
        return None
    last = end - timedelta(microseconds=1)
    midnights = (start.time(), end.time())
    if any(moment.isoformat() != "00:00:00" for moment in midnights):
        raise BuildError(
            f"a backfill takes whole UTC days, not {start} to {end}",
            hint="--event-time-start 2026-01-01 --event-time-end 2026-01-03 is two days",
        )
    return DateRange(start.date(), last.date())
