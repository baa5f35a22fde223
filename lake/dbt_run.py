"""Run dbt in this process: for the command line, the demo, Dagster and tests.

Where the lake is never goes through this process's environment, so that two runs on two lakes in
one process do not see each other. dbt itself keeps global state, so runs in one process take turns.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from lake.dbt_lakes import lakes_at, working_on
from lake.dbt_parse import parsed_project
from lake.errors import BuildError

PROJECT: Final = Path(__file__).resolve().parent.parent / "dbt_project"
"""The dbt project that comes with lakeward."""

GOOD: Final = frozenset({"success", "pass", "warn", "no-op", "partial success"})

_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one seed, model or test."""

    unique_id: str
    kind: str
    """``model``, ``seed``, ``test`` or ``unit_test``."""
    name: str
    label: str
    """``<layer>.<name>`` for a table, else the name."""
    status: str
    """dbt's word: success, error, skipped, pass, fail, warn."""
    message: str
    mode: str | None
    """``full``, ``increment``, ``backfill``, ``table`` or ``seed``; None when nothing was built."""
    rows: int | None
    """Rows written; for a test the rows that fail it."""
    seconds: float
    compiled: Path | None
    """The SQL as it was run."""

    @property
    def is_good(self) -> bool:
        """True when it did what it should; a skipped one did not."""
        return self.status in GOOD


@dataclass(frozen=True, slots=True)
class DbtResult:
    """What became of one dbt command."""

    succeeded: bool
    nodes: tuple[NodeResult, ...]
    target_path: Path
    """Where ``manifest.json``, ``run_results.json`` and the docs site are."""

    def models(self) -> tuple[NodeResult, ...]:
        """Return the tables, in the order they were finished."""
        return tuple(node for node in self.nodes if node.kind in ("model", "seed"))

    def tests(self) -> tuple[NodeResult, ...]:
        """Return the tests, unit tests included."""
        return tuple(node for node in self.nodes if node.kind in ("test", "unit_test"))

    def failures(self) -> tuple[NodeResult, ...]:
        """Return what failed; what was skipped because of it is not among them."""
        return tuple(n for n in self.nodes if not n.is_good and n.status != "skipped")

    def node(self, name: str) -> NodeResult:
        """Return the table or test called ``name``.

        Raises:
            KeyError: dbt did not come to it.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Progress:
    """A seed, model or test began or ended."""

    name: str
    kind: str
    has_ended: bool
    index: int
    total: int


def run_dbt(
    args: Sequence[str],
    *,
    home: Path,
    lake_root: str,
    target: str = "prod",
    on_progress: Callable[[Progress], None] | None = None,
) -> DbtResult:
    """Run one dbt command, such as ``["build", "--select", "silver"]``.

    dbt's log, artifacts and compiled SQL go to ``<home>/dbt``; nothing is printed. The working
    directory of the process changes while dbt runs and is put back.

    Raises:
        BuildError: dbt could not start: a wrong option, or a project that does not parse. A model
            or test that fails is no exception but ``succeeded`` false.
    """
    words, own_vars = _take_vars(list(args))
    options = _options(home, target, own_vars)
    with _turn, working_on(lakes_at(lake_root, home, is_dev=target == "dev")):
        here = Path.cwd()
        try:
            manifest = _parsed(home, target, own_vars)
            callbacks = [] if on_progress is None else [_listener(on_progress)]
            runner = dbtRunner(manifest=manifest.deepcopy(), callbacks=callbacks)
            answer = runner.invoke([*words, *options])
        finally:
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
            os.chdir(here)
    if isinstance(answer.exception, KeyboardInterrupt):
        raise answer.exception
    if answer.exception is not None:
        raise BuildError(f"dbt {words[0]}: {answer.exception}") from answer.exception
    results = getattr(answer.result, "results", None) or ()
    nodes = tuple(_node(one) for one in results if hasattr(one, "node"))
    return DbtResult(answer.success, nodes, _folder(home) / "target")


def parse_project(*, home: Path, target: str = "prod") -> dict[str, Any]:
    """Return the parsed project as ``manifest.json`` has it; no lake needs to be there.

    Raises:
        BuildError: the project does not parse.
    """
    with _turn:
        here = Path.cwd()
        try:
            manifest = _parsed(home, target, {})
            document: dict[str, Any] = manifest.writable_manifest().to_dict(omit_none=False)
        finally:
            DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
            os.chdir(here)
    return document


def _folder(home: Path) -> Path:
    return home.resolve() / "dbt"


def _parsed(home: Path, target: str, own_vars: dict[str, Any]) -> Any:
    options = _options(home, target, own_vars)
    return parsed_project(PROJECT, options, (target, json.dumps(own_vars, sort_keys=True)))


def _options(home: Path, target: str, own_vars: dict[str, Any]) -> list[str]:
    return [
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target", target, "--target-path", str(_folder(home) / "target")),
        *("--log-path", str(_folder(home) / "logs"), "--log-level", "none"),
        *("--vars", json.dumps(own_vars)),
    ]


def backfill_args(first: date, last: date) -> list[str]:
    """Return the dbt options that limit a build to the UTC days ``first`` to ``last``, inclusive.

    Raises:
        BuildError: ``last`` lies before ``first``.
    """
    if last < first:
        raise BuildError(f"a backfill from {first} to {last} has no day in it")
    end = last + timedelta(days=1)
    return ["--event-time-start", first.isoformat(), "--event-time-end", end.isoformat()]


def _take_vars(words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the arguments without ``--vars``, and what those were."""
    if "--vars" not in words:
        return words, {}
    at = words.index("--vars")
    found = yaml.safe_load(words[at + 1]) if at + 1 < len(words) else None
    if not isinstance(found, dict):
        raise BuildError("--vars takes a mapping, for example --vars '{late_after_hours: 48}'")
    return [*words[:at], *words[at + 2 :]], found


_ENDS: Final = frozenset({"LogModelResult", "LogSeedResult", "LogTestResult", "LogUnitTestResult"})


def _listener(on_progress: Callable[[Progress], None]) -> Callable[[Any], None]:
    def listen(event: Any) -> None:
        name = event.info.name
        has_ended = name in _ENDS
        if not has_ended and name != "LogStartLine":
            return
        data = event.data
        on_progress(
            Progress(
                name=data.node_info.node_name,
                kind=data.node_info.resource_type,
                has_ended=has_ended,
                index=data.index,
                total=int(getattr(data, "total", 0) or getattr(data, "num_models", 0)),
            )
        )

    return listen


def _node(result: Any) -> NodeResult:
    node = result.node
    kind = str(node.resource_type)
    response = result.adapter_response or {}
    compiled = getattr(node, "compiled_path", None)
    rows = response.get("rows_affected")
    if kind in ("test", "unit_test"):
        rows = result.failures
    return NodeResult(
        unique_id=node.unique_id,
        kind=kind,
        name=node.name,
        label=f"{node.schema}.{node.name}" if kind in ("model", "seed") else node.name,
        status=str(result.status),
        message=str(result.message or ""),
        mode=str(response["code"]).lower() if response.get("code") else None,
        rows=None if rows is None else int(rows),
        seconds=float(result.execution_time),
        compiled=None if compiled is None else _absolute(compiled),
    )


def _absolute(compiled: str) -> Path:
    path = Path(compiled)
    return path if path.is_absolute() else PROJECT / path
