"""What checks found, kept as the Delta table ``ops.expectation_results``.

A commit holds one run's results and, as transactions, the table versions that each suite has
looked at. So the next run knows what is new, and a run that died half-way has said nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from expectations.errors import CheckRunError
from expectations.result import RuleResult, SuiteResult
from expectations.suite import Suite, TableRef
from lake.errors import ForeignTableError
from lake.tables import Lake

NAME: Final = "expectation_results"
COMPACT_FILES: Final = 100
"""Files are merged from here on, so that reading the history stays quick."""

ATTEMPTS: Final = 5

SCHEMA: Final = pa.schema(
    [
        ("run_id", pa.string()),
        ("checked_at", pa.timestamp("us", tz="UTC")),
        ("suite", pa.string()),
        ("layer", pa.string()),
        ("table_name", pa.string()),
        ("version_from", pa.int64()),
        ("version_to", pa.int64()),
        ("rows_available", pa.int64()),
        ("rows_checked", pa.int64()),
        ("note", pa.string()),
        ("rule", pa.string()),
        ("kind", pa.string()),
        ("column_name", pa.string()),
        ("severity", pa.string()),
        ("success", pa.bool_()),
        ("observed", pa.string()),
        ("unexpected_count", pa.int64()),
        ("sample", pa.string()),
        ("why", pa.string()),
    ]
)
"""One row a rule and run; ``sample`` is a JSON array of keys. ``version_from`` is exclusive."""


class History:
    """The results of earlier runs, and the way to add this one's."""

    def __init__(self, lake: Lake) -> None:
        """Open the table; there need not be one yet.

        Raises:
            ForeignTableError: the table there has other columns.
        """
        self._lake = lake
        self._uri = lake.uri("ops", NAME)
        self._table = lake.open("ops", NAME) if lake.exists("ops", NAME) else None
        self._last: dict[str, list[dict[str, Any]]] | None = None
        if self._table is not None:
            there = {field.name for field in self._table.schema().fields}
            if not set(SCHEMA.names) <= there:
                raise ForeignTableError(
                    f"the table at {self._uri} does not hold expectation results",
                    hint="move it away; the next check makes a new one",
                )

    def seen(self, suite: Suite, ref: TableRef, table: DeltaTable) -> int | None:
        """Return the version of ``table`` that ``suite`` has looked at, None when it has not."""
        if self._table is None:
            return None
        version = self._table.transaction_version(_app_id(suite, ref, table))
        return None if version is None else int(version)

    def last(self, suite: Suite) -> SuiteResult | None:
        """Return what the last run of ``suite`` found.

        None when there is none, or when the suite had other rules then.
        """
        rows = self._last_runs().get(suite.name, [])
        if {row["rule"] for row in rows} != {rule.name for rule in suite.rules} or not rows:
            return None
        first = rows[0]
        by_name = {row["rule"]: row for row in rows}
        return SuiteResult(
            suite=suite.name,
            layer=suite.layer,
            table=suite.table,
            rules=tuple(_rule(by_name[rule.name]) for rule in suite.rules),
            version_from=first["version_from"],
            version_to=first["version_to"],
            rows_available=first["rows_available"],
            rows_checked=first["rows_checked"],
            note=first["note"],
            is_repeated=True,
        )

    def add(
        self,
        run_id: str,
        now: datetime,
        results: Sequence[SuiteResult],
        seen: Mapping[tuple[str, TableRef], DeltaTable],
        suites: Mapping[str, Suite],
    ) -> None:
        """Append a run's results and what each suite has now looked at, in one commit.

        Raises:
            CheckRunError: the table cannot be written.
        """
        rows = [_row(run_id, now, suite, rule) for suite in results for rule in suite.rules]
        if not rows:
            return
        data = pa.Table.from_pylist(rows, schema=SCHEMA)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._append(
                    data,
                    [
                        Transaction(_app_id(suites[name], ref, table), table.version())
                        for (name, ref), table in seen.items()
                    ],
                )
            except CommitFailedError as error:
                # Another check has looked at the same suite meanwhile: both results are true.
                if attempt == ATTEMPTS:
                    raise CheckRunError(
                        f"results cannot be added to {self._uri}: {error}"
                    ) from error
                self._table = self._lake.open("ops", NAME)
            except (DeltaError, OSError) as error:
                raise CheckRunError(f"results cannot be added to {self._uri}: {error}") from error
            else:
                return

    def _append(self, data: pa.Table, transactions: list[Transaction]) -> None:
        if self._table is None:
            self._table = DeltaTable.create(
                self._uri,
                SCHEMA,
                mode="ignore",
                name=f"ops.{NAME}",
                description="What each check of the tables found: one row a rule and run.",
                storage_options=self._lake.storage_options,
            )
        write_deltalake(
            self._table,
            data,
            mode="append",
            commit_properties=CommitProperties(app_transactions=transactions, max_commit_retries=5),
        )
        self._last = None
        if len(self._table.file_uris()) >= COMPACT_FILES:
            self._table.optimize.compact()

    def _last_runs(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of the last run of each suite."""
        if self._last is None:
            self._last = {}
            rows = [] if self._table is None else self._table.to_pyarrow_table().to_pylist()
            newest: dict[str, tuple[datetime, str]] = {}
            for row in rows:
                run = (row["checked_at"], row["run_id"])
                if row["suite"] not in newest or run > newest[row["suite"]]:
                    newest[row["suite"]] = run
                    self._last[row["suite"]] = []
                if run == newest[row["suite"]]:
                    self._last[row["suite"]].append(row)
        return self._last


def _app_id(suite: Suite, ref: TableRef, table: DeltaTable) -> str:
    return f"check:{suite.name}:{ref[0]}.{ref[1]}:{table.metadata().id}"


def _row(run_id: str, now: datetime, suite: SuiteResult, rule: RuleResult) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "checked_at": now,
        "suite": suite.suite,
        "layer": suite.layer,
        "table_name": suite.table,
        "version_from": suite.version_from,
        "version_to": suite.version_to,
        "rows_available": suite.rows_available,
        "rows_checked": suite.rows_checked,
        "note": suite.note,
        "rule": rule.rule,
        "kind": rule.kind,
        "column_name": rule.column,
        "severity": rule.severity,
        "success": rule.success,
        "observed": rule.observed,
        "unexpected_count": rule.unexpected,
        "sample": json.dumps(rule.sample, default=str),
        "why": rule.why,
    }


def _rule(row: dict[str, Any]) -> RuleResult:
    return RuleResult(
        rule=row["rule"],
        kind=row["kind"],
        column=row["column_name"],
        severity=row["severity"],
        success=row["success"],
        observed=row["observed"],
        checked=row["rows_checked"],
        unexpected=row["unexpected_count"],
        sample=tuple(json.loads(row["sample"])),
        why=row["why"],
    )
