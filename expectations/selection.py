"""Which suites there are for a lake as it is now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from deltalake.exceptions import DeltaError

from expectations.bronze import bronze_suite, dead_letter_suite
from expectations.distribution import distribution_suite
from expectations.errors import CheckScopeError
from expectations.gold import gold_suite
from expectations.reconciliation import NotComparableError, reconciliation_suite
from expectations.references import (
    EVENTS,
    EXPERIMENTS,
    exposure_suite,
    reference_suite,
    references_among,
)
from expectations.silver import (
    REJECTED,
    SESSIONS,
    session_suite,
    silver_suite,
    silver_table,
    volume_suite,
)
from expectations.suite import Suite, TableRef
from expectations.totals import TOTALS, totals_suite
from ingest.contracts.model import Contract
from lake.tables import DEAD_LETTERS, LAYERS, Lake, Layer


@dataclass(frozen=True, slots=True)
class Skipped:
    """A suite that cannot be held against the lake now, and why."""

    name: str
    layer: Layer
    table: str
    reason: str
    is_broken: bool = False
    """True when a table cannot be read, which is a failure."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What to check: whole layers, single tables, or everything when both are empty."""

    layers: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    """As ``<layer>.<table>``."""

    def holds(self, layer: Layer, table: str) -> bool:
        """True when the table is to be checked."""
        if not self.layers and not self.tables:
            return True
        return layer in self.layers or f"{layer}.{table}" in self.tables


def parse_scope(layers: Collection[str], tables: Collection[str]) -> Scope:
    """Return the scope that a user names.

    Raises:
        CheckScopeError: there is no such layer, or a table is not ``<layer>.<table>``.
    """
    checked = [layer for layer in LAYERS if layer != "ops"]
    for layer in layers:
        if layer not in checked:
            raise CheckScopeError(
                f"there is no layer {layer!r} to check", hint=f"one of {', '.join(checked)}"
            )
    for table in tables:
        if table.split(".")[0] not in checked or table.count(".") != 1:
            raise CheckScopeError(
                f"{table!r} is no table to check", hint="for example silver.stg_clickstream"
            )
    return Scope(frozenset(layers), frozenset(tables))


def select_suites(
    lake: Lake, contracts: Iterable[Contract], scope: Scope, now: datetime
) -> Iterator[Suite | Skipped]:
    """Yield each suite of the lake's tables that is in scope.

    Raises:
        CheckScopeError: a table is named that is not in the lake.
    """
    known = tuple(contracts)
    there: dict[str, list[str]] = {layer: lake.names(layer) for layer in LAYERS}
    for label in sorted(scope.tables):
        layer, name = label.split(".")
        if name not in there[layer]:
            raise CheckScopeError(
                f"there is no table {label} in the lake", hint="`lakeward tables` lists them"
            )
    for ref, make in _makers(lake, known, there, now):
        if not scope.holds(*ref):
            continue
        try:
            suite = make()
        except NotComparableError as error:
            yield Skipped(f"{ref[0]}.{ref[1]}", *ref, str(error))
        except DeltaError as error:
            yield Skipped(f"{ref[0]}.{ref[1]}", *ref, str(error), is_broken=True)
        else:
            if suite is not None and suite.rules:
                yield suite


def _makers(
    lake: Lake, contracts: tuple[Contract, ...], there: dict[str, list[str]], now: datetime
) -> Iterator[tuple[TableRef, Callable[[], Suite | None]]]:
    """Yield the table of each suite that there may be, and what makes the suite."""
    today = now.date().isoformat()
    for contract in contracts:
        if contract.name in there["bronze"]:
            yield ("bronze", contract.name), partial(bronze_suite, contract)
    if DEAD_LETTERS in there["bronze"]:
        bronze = there["bronze"]
        yield ("bronze", DEAD_LETTERS), partial(dead_letter_suite, contracts, bronze)
    for contract in contracts:
        table = silver_table(contract)
        if table not in there["silver"]:
            continue
        yield ("silver", table), partial(_silver, lake, contract)
        yield ("silver", table), partial(volume_suite, contract, today)
        yield ("silver", table), partial(_distribution, lake, contract, today)
        if contract.name in there["bronze"] and REJECTED in there["silver"]:
            yield ("silver", table), partial(reconciliation_suite, lake, contract)
    if {EVENTS, EXPERIMENTS} <= set(there["silver"]):
        yield ("silver", EVENTS), partial(exposure_suite, today)
    for reference in references_among(there):
        yield reference.table, partial(reference_suite, reference, today)
    if SESSIONS in there["silver"]:
        yield ("silver", SESSIONS), session_suite
    for name in there["gold"]:
        yield ("gold", name), partial(_gold, lake, name)
    for model in TOTALS:
        if model[1] in there[model[0]]:
            yield model, partial(totals_suite, lake, model)


def _silver(lake: Lake, contract: Contract) -> Suite:
    table = lake.open("silver", silver_table(contract))
    return silver_suite(contract, {field.name for field in table.schema().fields})


def _distribution(lake: Lake, contract: Contract, today: str) -> Suite | None:
    table = lake.open("silver", silver_table(contract))
    return distribution_suite(contract, {field.name for field in table.schema().fields}, today)


def _gold(lake: Lake, name: str) -> Suite | None:
    return gold_suite(name, lake.open("gold", name))
