"""Great Expectations at work: a suite and a batch in, results and a page of Data Docs out.

The only module that imports Great Expectations, and only when a check runs: it takes seconds. Its
stores are files below the Data Docs folder and hold the last few results of each suite, no more,
because the time to build the site grows with what is stored (ADR 052).
"""

from __future__ import annotations

import json
import warnings
from datetime import datetime
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.batch import Batch
from expectations.result import RuleResult
from expectations.suite import Aggregate, Rule, Severity, Suite

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

KEPT_RESULTS = 5
"""Data Docs show this many results of each suite; the whole history is in ops."""

SAMPLE_KEYS = 5
SITE = "lakeward"
_GX_SEVERITY: dict[Severity, str] = {"block": "critical", "warn": "warning", "record": "info"}


class Validation:
    """One run's Great Expectations context over the stores of ``folder``."""

    def __init__(self, folder: Path, run_id: str, now: datetime) -> None:
        """Open the stores.

        Args:
            folder: where the site is built.
            run_id: names this run in the site.
            now: the run's time, UTC.
        """
        with warnings.catch_warnings():
            # Great Expectations imports modules that Python deprecates (sre_constants).
            warnings.simplefilter("ignore", DeprecationWarning)
            import great_expectations as gx
            from great_expectations.core.run_identifier import RunIdentifier
            from great_expectations.data_context.types.base import DataContextConfig
        self._gx = gx
        self._run = RunIdentifier(run_name=run_id, run_time=now)
        self._context = gx.get_context(
            mode="ephemeral", project_config=DataContextConfig(**_configuration(folder))
        )
        self._source = self._context.data_sources.add_pandas("lake")
        self._folder = folder
        self._suites: list[Any] = []

    def check(self, suite: Suite, batch: Batch) -> tuple[RuleResult, ...]:
        """Hold ``batch`` against the rules of ``suite`` and keep the result for the site."""
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
        )

        expectations = [
            getattr(self._gx.expectations, rule.kind)(
                **rule.arguments,
                severity=_GX_SEVERITY[rule.severity],
                description=f"{rule.name} ({rule.severity})",
                notes=f"If not: {rule.why}.",
                meta={"rule": rule.name},
            )
            for rule in suite.rules
        ]
        stored = self._context.suites.add_or_update(
            self._gx.ExpectationSuite(name=suite.name, expectations=expectations)
        )
        asset = self._source.add_dataframe_asset(suite.name)
        definition = self._context.validation_definitions.add(
            self._gx.ValidationDefinition(
                name=suite.name,
                data=asset.add_batch_definition_whole_dataframe("batch"),
                suite=stored,
            )
        )
        self._suites.append(ExpectationSuiteIdentifier(suite.name))
        found = definition.run(
            batch_parameters={"dataframe": batch.frame},
            run_id=self._run,
            result_format={"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE_KEYS},
        )
        results: list[Any] = found.results
        by_rule = {result.expectation_config.meta["rule"]: result for result in results}
        return tuple(_result(suite, rule, by_rule[rule.name], batch) for rule in suite.rules)

    def build_site(self) -> Path:
        """Drop results beyond ``KEPT_RESULTS`` a suite, add this run's pages, return the index."""
        store: Any = self._context.validation_results_store
        by_suite: dict[str, list[Any]] = {}
        for key in store.list_keys():
            by_suite.setdefault(key.expectation_suite_identifier.name, []).append(key)
        new = list(self._suites)
        for keys in by_suite.values():
            keys.sort(key=lambda key: key.run_id.run_time, reverse=True)
            for key in keys[KEPT_RESULTS:]:
                store.remove_key(key)
            new += [key for key in keys[:KEPT_RESULTS] if key.run_id == self._run]
        if not new:
            return self._folder / "index.html"
        self._context.build_data_docs(site_names=[SITE], resource_identifiers=new)
        return self._folder / "index.html"


def _configuration(folder: Path) -> dict[str, Any]:
    def files(class_name: str, name: str) -> dict[str, Any]:
        backend = {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder / ".store" / name),
            "filepath_suffix": ".json",
        }
        return {"class_name": class_name, "store_backend": backend}

    def memory(class_name: str) -> dict[str, Any]:
        return {"class_name": class_name, "store_backend": {"class_name": "InMemoryStoreBackend"}}

    def view(class_name: str) -> dict[str, str]:
        return {"module_name": "expectations.site.views", "class_name": class_name}

    return {
        "analytics_enabled": False,
        "progress_bars": {"globally": False, "metric_calculations": False},
        "stores": {
            "expectations": files("ExpectationsStore", "expectations"),
            "validation_results": files("ValidationResultsStore", "validations"),
            "checkpoints": memory("CheckpointStore"),
            # The name that Great Expectations looks for; it cannot be chosen.
            "validation_definition_store": memory("ValidationDefinitionStore"),
        },
        "expectations_store_name": "expectations",
        "validation_results_store_name": "validation_results",
        "checkpoint_store_name": "checkpoints",
        "data_docs_sites": {
            SITE: {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(folder),
                },
                "site_index_builder": {
                    "class_name": "DefaultSiteIndexBuilder",
                    "view": view("IndexView"),
                },
                "site_section_builders": {
                    "expectations": {"view": view("PageView")},
                    "validations": {"view": view("PageView")},
                    "profiling": "None",
                },
            }
        },
    }


def _result(suite: Suite, rule: Rule, found: Any, batch: Batch) -> RuleResult:
    facts: dict[str, Any] = found.result or {}
    unexpected = facts.get("unexpected_count")
    rows = len(batch.frame)
    error = _error(found.exception_info)
    if error is not None:
        observed = f"could not be checked: {error}"
    elif isinstance(suite.batch, Aggregate) and rows == 1:
        observed = _told(suite, batch.frame)
    elif unexpected is not None:
        present = facts.get("element_count", rows) - facts.get("missing_count", 0)
        observed = f"{unexpected:,} of {present:,} rows"
    else:
        observed = _short(facts.get("observed_value"))
    sample: tuple[dict[str, Any], ...] = ()
    if not found.success and error is None:
        sample = _sample(suite, rule, facts, batch.frame)
    return RuleResult(
        rule=rule.name,
        kind=rule.kind,
        column=rule.column,
        severity=rule.severity,
        success=bool(found.success),
        observed=observed,
        checked=rows,
        unexpected=None if unexpected is None else int(unexpected),
        sample=sample,
        why=rule.why,
    )


def _sample(
    suite: Suite, rule: Rule, facts: dict[str, Any], frame: pd.DataFrame
) -> tuple[dict[str, Any], ...]:
    """Find rows by the unexpected values that Great Expectations names.

    Asking it for the rows themselves takes 30 times as long when many rows are unexpected.
    """
    keys = [key for key in suite.keys if key in frame.columns]
    if not keys or "partial_unexpected_list" not in facts:
        return ()
    if rule.column is None:
        wider, narrower = rule.arguments["column_A"], rule.arguments["column_B"]
        hits, shown = frame[frame[wider] < frame[narrower]], [*keys, wider, narrower]
    else:
        column = frame[rule.column]
        is_null = rule.kind == "ExpectColumnValuesToNotBeNull"
        hits = frame[column.isna() if is_null else column.isin(facts["partial_unexpected_list"])]
        shown = keys if rule.column in keys else [*keys, rule.column]
    rows: list[dict[str, Any]] = json.loads(
        hits[shown].head(SAMPLE_KEYS).to_json(orient="records", date_format="iso")
    )
    return tuple(rows)


def _error(info: Any) -> str | None:
    """Return the message of the first exception that checking a rule raised."""
    if not isinstance(info, dict):
        return None
    if info.get("raised_exception"):
        return str(info.get("exception_message"))
    for one in info.values():
        if isinstance(one, dict) and one.get("raised_exception"):
            return str(one.get("exception_message"))
    return None


def _told(suite: Suite, frame: pd.DataFrame) -> str:
    """Tell the one row of an aggregate in its own numbers."""
    row = frame.iloc[0]
    return ", ".join(
        f"{key} {row[key]:,.10g}" if isinstance(row[key], Number) else f"{key} {row[key]}"
        for key in suite.keys
        if key in frame.columns
    )


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)[:200]
