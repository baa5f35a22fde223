"""Holds the tables against the generator's ledgers: what was sent against what is there.

The ledger is written from the plan of each message, never by reading Kafka or the lake, so that
the two sides of each line were counted independently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ingest.contracts.model import Contract
from ingest.errors import GeneratorError
from ingest.generator.ledger import ContractLedger, Ledger
from lake.duck import quote_text
from lake.read import LakeReader
from lake.tables import DEAD_LETTERS, Lake, Layer

PURCHASES = frozenset({"token_purchase", "presale_participate"})
"""The conversion types that are revenue, as ``dbt_project`` counts it."""

Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """One number that was sent and the same number as the tables have it."""

    layer: Layer
    what: str
    of: str
    """The contract whose events are counted."""
    sent: Number
    found: Number
    is_detail: bool = False
    """True for a part of another line."""

    @property
    def agrees(self) -> bool:
        """True when both are the same."""
        return self.sent == self.found


def reconcile(ledgers: Sequence[Ledger], contracts: Iterable[Contract], lake: Lake) -> list[Line]:
    """Compare bronze, dead letters, silver and gold with everything the ledgers say was sent.

    The lake must hold the events of these runs and no others of the same contracts. Silver and
    gold are compared where they are built.

    Raises:
        GeneratorError: there is no ledger, or one is of a run that was interrupted.
        MissingTableError: bronze has not been written yet.
    """
    if not ledgers:
        raise GeneratorError(
            "there is no ledger to reconcile with", hint="`lakeward generate` writes one"
        )
    for ledger in ledgers:
        if ledger.acknowledged != ledger.messages:
            raise GeneratorError(
                f"the run {ledger.run_id} was cut off: {ledger.acknowledged:,} of "
                f"{ledger.messages:,} messages are known to have arrived",
                hint="only what arrived can be reconciled; generate into a fresh lake",
            )
    with LakeReader(lake) as reader:

        def one(sql: str) -> Number:
            value = reader.table(sql).column(0)[0].as_py()
            return 0 if value is None else value

        silver, gold = set(lake.names("silver")), set(lake.names("gold"))
        lines: list[Line] = []
        for contract in contracts:
            entries = [
                ledger.contracts[contract.name]
                for ledger in ledgers
                if contract.name in ledger.contracts
            ]
            if entries:
                lines += _bronze(contract, entries, one)
                if f"stg_{contract.name}" in silver:
                    lines += _silver(contract, entries, one)
        if "fct_revenue_daily" in gold:
            lines += _revenue(ledgers, one)
    return lines


def _bronze(
    contract: Contract, entries: Sequence[ContractLedger], one: Callable[[str], Number]
) -> Iterator[Line]:
    table = f"bronze.{contract.name}"
    yield Line(
        "bronze",
        "rows",
        contract.name,
        sum(e.rows for e in entries),
        one(f"select count(*) from {table}"),
    )
    reasons = sorted({reason for e in entries for reason in e.dead_letters})
    for reason in reasons:
        yield Line(
            "bronze",
            f"dead: {reason}",
            contract.name,
            sum(e.dead_letters.get(reason, 0) for e in entries),
            one(
                f"select count(*) from bronze.{DEAD_LETTERS} where contract = "
                f"{quote_text(contract.name)} and reason = {quote_text(reason)}"
            ),
            is_detail=True,
        )
    yield Line(
        "bronze",
        "dead letters",
        contract.name,
        sum(e.dead for e in entries),
        one(
            f"select count(*) from bronze.{DEAD_LETTERS} "
            f"where contract = {quote_text(contract.name)}"
        ),
    )


def _silver(
    contract: Contract, entries: Sequence[ContractLedger], one: Callable[[str], Number]
) -> Iterator[Line]:
    table = f"silver.stg_{contract.name}"
    counts = {
        "silver events": (sum(e.events for e in entries), "count(*)"),
        "rescued fields": (sum(e.rescued for e in entries), "count(_rescued)"),
        "late events": (sum(e.late for e in entries), "count(*) filter (is_late)"),
        "future events": (sum(e.future for e in entries), "count(*) filter (is_future)"),
    }
    for what, (sent, counted) in counts.items():
        yield Line("silver", what, contract.name, sent, one(f"select {counted} from {table}"))


def _revenue(ledgers: Sequence[Ledger], one: Callable[[str], Number]) -> Iterator[Line]:
    sold = [
        group
        for ledger in ledgers
        for group in ledger.totals["events"].get("conversions", ())
        if group["conversion_type"] in PURCHASES
    ]
    table = "gold.fct_revenue_daily"
    yield Line(
        "gold",
        "purchases",
        "conversions",
        sum(group["count"] for group in sold),
        one(f"select sum(purchase_count)::bigint from {table}"),
    )
    yield Line(
        "gold",
        "revenue, USD",
        "conversions",
        sum((Decimal(group["amount_usd"]) for group in sold), Decimal(0)),
        one(f"select sum(gross_usd) from {table}"),
    )
