"""Which changes of a contract are taken and which are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contracts.compatibility import compare, compare_all
from ingest.contracts.model import Contract, Field
from ingest.contracts.registry import load_contracts

Edit = Callable[[Contract], Contract]


def with_field(column: str, **changes: Any) -> Edit:
    def edit(contract: Contract) -> Contract:
        fields = tuple(replace(f, **changes) if f.name == column else f for f in contract.fields)
        return replace(contract, fields=fields)

    return edit


def without_field(name: str) -> Edit:
    return lambda c: replace(c, fields=tuple(f for f in c.fields if f.name != name))


def and_field(field: Field) -> Edit:
    return lambda c: replace(c, fields=(*c.fields, field))


def with_contract(**changes: Any) -> Edit:
    return lambda c: replace(c, **changes)


NOTE = Field("note", "note", "string")

REFUSED: dict[str, tuple[Edit, str]] = {
    "a field removed": (without_field("risk"), "payments.risk: is gone"),
    "a field renamed": (with_field("risk", name="fraud_risk"), "was renamed to fraud_risk"),
    "another type": (with_field("attempts", kind="number"), "type changed from integer to number"),
    "text to JSON": (with_field("email", kind="json"), "type changed from string to json"),
    "a wider decimal": (
        with_field("amount_usd", precision=20),
        "type changed from decimal128(18, 2) to decimal128(20, 2)",
    ),
    "another payload member": (
        with_field("risk", payload_name="score"),
        "payload member changed from risk to score",
    ),
    "another unit": (with_field("amount_usd", unit="EUR"), "unit changed from USD to EUR"),
    "a new required field": (
        and_field(replace(NOTE, required=True)),
        "payments.note: is new and required",
    ),
    "a field that becomes required": (with_field("risk", required=True), "became required"),
    "a value no longer allowed": (with_field("status", allowed=("paid",)), "no longer allows fail"),
    "a list where any value was allowed": (
        with_field("email", allowed=("a@example.org",)),
        "only listed values are allowed now",
    ),
    "another topic": (with_contract(topic="pay"), "topic changed from payment-events to pay"),
    "another key": (with_contract(key=("tenant_id", "customer_id")), "key changed from"),
    "another order of the key": (with_contract(key=("payment_id", "tenant_id")), "key changed"),
    "another event time": (with_contract(event_time="due_date"), "event time changed from"),
    "another message key": (with_contract(message_key=("payment_id",)), "message key changed"),
}
TAKEN: dict[str, tuple[Edit, str]] = {
    "a new nullable field": (and_field(NOTE), "payments.note: is new"),
    "a field no longer required": (with_field("status", required=False), "no longer required"),
    "one more allowed value": (
        with_field("status", allowed=("paid", "failed", "pending")),
        "now also allows pending",
    ),
    "any value": (with_field("status", allowed=()), "any value is allowed now"),
    "personal data marked": (with_field("labels", pii=True), "is now personal data"),
    "personal data unmarked": (with_field("email", pii=False), "is no longer personal data"),
    "another range": (with_field("amount_usd", minimum=1.0), "expected range changed"),
    "a unit where there was none": (with_field("attempts", unit="tries"), "unit changed from none"),
    "another retention": (with_contract(retention_days=None), "retention changed from 730 days"),
}
WORDS: dict[str, Edit] = {
    "nothing": lambda c: c,
    "a description": with_field("risk", description="How likely fraud is."),
    "examples": with_field("status", examples=("paid",)),
    "the owner": with_contract(owner="treasury"),
    "the order of fields": lambda c: replace(c, fields=tuple(reversed(c.fields))),
    "the order of allowed values": with_field("status", allowed=("failed", "paid")),
}


@pytest.mark.parametrize(("edit", "says"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_breaks_someone_is_refused_with_the_reason(
    payments: Contract, edit: Edit, says: str
) -> None:
    changes = compare(payments, replace(edit(payments), version="2.0.0"))
    refused = [str(change) for change in changes if not change.compatible]
    assert len(refused) == 1
    assert says in refused[0]


@pytest.mark.parametrize(("edit", "says"), TAKEN.values(), ids=TAKEN)
def test_a_change_that_only_adds_is_taken(payments: Contract, edit: Edit, says: str) -> None:
    changes = compare(payments, replace(edit(payments), version="1.1.0"))
    assert [change.compatible for change in changes] == [True]
    assert says in str(changes[0])


@pytest.mark.parametrize("edit", [edit for edit, _ in TAKEN.values()], ids=list(TAKEN))
def test_a_change_needs_a_new_version(payments: Contract, edit: Edit) -> None:
    refused = [str(c) for c in compare(payments, edit(payments)) if not c.compatible]
    assert refused == ["payments: changed, but its version is still 1.0.0: raise it"]


@pytest.mark.parametrize("edit", WORDS.values(), ids=WORDS)
def test_words_and_order_are_no_change(payments: Contract, edit: Edit) -> None:
    assert compare(payments, edit(payments)) == []


@pytest.mark.parametrize(("old", "new"), [("1.10.0", "1.9.0"), ("2.0.0", "1.9.9")])
def test_a_version_never_goes_back(payments: Contract, old: str, new: str) -> None:
    changes = compare(replace(payments, version=old), replace(payments, version=new))
    assert [str(c) for c in changes] == [f"payments: version went back from {old} to {new}"]


def test_a_contract_that_is_gone_is_refused(payments: Contract) -> None:
    assert [str(c) for c in compare_all([payments], [])] == [
        "payments: is gone: nothing would read payment-events any more"
    ]


def test_a_renamed_contract_is_refused(payments: Contract) -> None:
    changes = compare_all([payments], [replace(payments, name="purchases")])
    assert [c.compatible for c in changes] == [False, True]
    assert "was renamed to purchases" in changes[0].what


def test_a_new_contract_is_taken(payments: Contract) -> None:
    changes = compare_all(load_contracts(None), [*load_contracts(None), payments])
    assert [str(c) for c in changes] == ["payments: is new, version 1.0.0"]
    assert changes[0].compatible


CONVERSIONS = load_contracts(None).by_name("conversions")
COLUMNS = [field.name for field in CONVERSIONS.fields]


@given(
    dropped=st.sets(st.sampled_from(COLUMNS), max_size=1),
    harder=st.sets(st.sampled_from(COLUMNS), max_size=2),
    added=st.lists(st.booleans(), max_size=1),
)
def test_a_change_that_is_taken_loses_no_column_and_asks_for_nothing_more(
    dropped: set[str], harder: set[str], added: list[bool]
) -> None:
    kept = [field for field in CONVERSIONS.fields if field.name not in dropped]
    fields = [replace(f, required=f.required or f.name in harder) for f in kept]
    fields += [replace(NOTE, required=required) for required in added]
    new = replace(CONVERSIONS, fields=tuple(fields), version="9.0.0")
    before = {f.name for f in CONVERSIONS.fields if f.required}
    asks_more = {f.name for f in fields if f.required} - before
    taken = all(change.compatible for change in compare(CONVERSIONS, new))
    assert taken == (not dropped and not asks_more)
