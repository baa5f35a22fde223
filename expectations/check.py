"""Run the suites against the lake and keep what they found."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from expectations.batch import SAMPLE_ROWS, Batch, load_batch
from expectations.errors import CheckRunError
from expectations.history import History
from expectations.result import CheckReport, RuleResult, SuiteResult
from expectations.selection import Skipped, parse_scope, select_suites
from expectations.suite import Aggregate, Suite, TableRef
from expectations.validation import Validation
from ingest.contracts.model import Contract
from lake.duck import connect
from lake.tables import Lake, Layer

logger = logging.getLogger(__name__)

Progress = Callable[[str], None]


def run(
    lake: Lake,
    contracts: Iterable[Contract],
    *,
    data_docs: Path,
    now: datetime,
    layers: Collection[str] = (),
    tables: Collection[str] = (),
    full: bool = False,
    sample_rows: int = SAMPLE_ROWS,
    progress: Progress = lambda _: None,
) -> CheckReport:
    """Check the tables in scope and store the results in ``ops.expectation_results``.

    Of a table, the rows that came since it was last checked are looked at. A suite whose tables
    have no new version is not run again: its last results stand and are part of the report.

    Args:
        lake: the tables.
        contracts: what the events are made of.
        data_docs: the folder of the Data Docs site.
        now: the time of the check, UTC.
        layers: whole layers to check; with ``tables`` empty too, everything is checked.
        tables: single tables, as ``<layer>.<table>``.
        full: look at all rows again, not only at new ones.
        sample_rows: the most rows of a batch to look at; the result says when it was cut.
        progress: told the name of each suite before it runs.

    Raises:
        CheckScopeError: no such layer or table.
        CheckRunError: results or Data Docs cannot be written.
    """
    data_docs = data_docs.resolve()
    scope = parse_scope(layers, tables)
    history = History(lake)
    run_id = now.strftime("%Y%m%dT%H%M%S.%fZ")
    results: list[SuiteResult] = []
    seen: dict[tuple[str, TableRef], DeltaTable] = {}
    suites: dict[str, Suite] = {}
    with _site_lock(data_docs), connect(lake) as connection:
        validation: Validation | None = None
        for suite in select_suites(lake, contracts, scope, now):
            if isinstance(suite, Skipped):
                results.append(_skipped(suite))
                continue
            progress(suite.name)
            suites[suite.name] = suite
            try:
                pinned = _pin(lake, suite)
                batch = _next_batch(connection, lake, suite, pinned, history, full, sample_rows)
            except (DeltaError, duckdb.Error, OSError) as error:
                results.append(_unreadable(suite.name, suite.layer, suite.table, str(error)))
                continue
            if batch is None or batch.available == 0:
                results.append(history.last(suite) or _empty(suite, pinned))
                continue
            seen |= {(suite.name, ref): table for ref, table in pinned.items()}
            if validation is None:
                validation = Validation(data_docs, run_id, now)
            results.append(_result(suite, pinned, batch, validation.check(suite, batch)))
        fresh = [result for result in results if not result.is_repeated]
        history.add(run_id, now, fresh, seen, suites)
        if validation is not None:
            try:
                validation.build_site()
            except OSError as error:
                raise CheckRunError(
                    f"Data Docs cannot be written to {data_docs}: {error}"
                ) from error
    report = CheckReport(run_id, now, tuple(results), data_docs / "index.html")
    logger.info(
        "check done",
        extra={
            "run_id": run_id,
            "suites": len(results),
            "run": len(fresh),
            "blocking": sum(1 for _ in report.failures("block")),
            "warnings": sum(1 for _ in report.failures("warn")),
        },
    )
    return report


def _pin(lake: Lake, suite: Suite) -> dict[TableRef, DeltaTable]:
    """Open each table that the suite reads, at the version to read."""
    versions = suite.batch.versions if isinstance(suite.batch, Aggregate) else {}
    return {ref: lake.open(*ref, version=versions.get(ref)) for ref in suite.reads}


def _next_batch(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    suite: Suite,
    pinned: dict[TableRef, DeltaTable],
    history: History,
    full: bool,
    sample_rows: int,
) -> Batch | None:
    """Return what is to be looked at, None when nothing is new."""
    seen = {ref: history.seen(suite, ref, table) for ref, table in pinned.items()}
    is_known = all(seen[ref] == table.version() for ref, table in pinned.items())
    if is_known and not full and history.last(suite) is not None:
        return None
    since = None
    if not full and not isinstance(suite.batch, Aggregate):
        since = seen[(suite.layer, suite.table)]
        if since is not None and since >= pinned[(suite.layer, suite.table)].version():
            since = None  # other rules than last time, or the table went back: look at all of it
    return load_batch(connection, lake, suite, pinned, since=since, sample_rows=sample_rows)


def _result(
    suite: Suite,
    pinned: dict[TableRef, DeltaTable],
    batch: Batch,
    rules: tuple[RuleResult, ...],
) -> SuiteResult:
    return SuiteResult(
        suite=suite.name,
        layer=suite.layer,
        table=suite.table,
        rules=rules,
        version_from=batch.since,
        version_to=_version(suite, pinned),
        rows_available=batch.available,
        rows_checked=len(batch.frame),
        note=batch.note,
    )


def _empty(suite: Suite, pinned: dict[TableRef, DeltaTable]) -> SuiteResult:
    return SuiteResult(
        suite.name,
        suite.layer,
        suite.table,
        version_to=_version(suite, pinned),
        skipped="there are too few rows to judge",
    )


def _version(suite: Suite, pinned: dict[TableRef, DeltaTable]) -> int | None:
    table = pinned.get((suite.layer, suite.table))
    return None if table is None else table.version()


def _skipped(suite: Skipped) -> SuiteResult:
    if suite.is_broken:
        return _unreadable(suite.name, suite.layer, suite.table, suite.reason)
    return SuiteResult(suite.name, suite.layer, suite.table, skipped=suite.reason)


def _unreadable(name: str, layer: Layer, table: str, reason: str) -> SuiteResult:
    """Return the blocking failure that a suite cannot be held against its tables at all."""
    rule = RuleResult(
        rule="the check can be run",
        kind="",
        column=None,
        severity="block",
        success=False,
        observed=reason.strip().splitlines()[0],
        checked=0,
        unexpected=None,
        sample=(),
        why="a table is damaged, or a model has other columns than the expectation knows",
    )
    return SuiteResult(name, layer, table, rules=(rule,))


@contextmanager
def _site_lock(folder: Path) -> Iterator[None]:
    """Let one check at a time write the site and the results.

    Raises:
        CheckRunError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise CheckRunError(
            f"Data Docs cannot be written to {folder}: {error}",
            hint="LAKEWARD_HOME says where they are kept",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
