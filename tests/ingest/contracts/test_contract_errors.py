"""A contract with a mistake: file, line, field and what is expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.contracts.loader import load_contract
from ingest.errors import ContractError

PATH = Path("mine/payments.odcs.yaml")


def error_of(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        load_contract(PATH, text)
    return raised.value.message


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("apiVersion: v3.2.0", "apiVersion: v2.2.2", "contract.apiVersion: expected one of v3.0.0"),
        ("kind: DataContract", "kind: Contract", "contract.kind: expected DataContract; found"),
        ("version: 1.0.0", "version: 1.0", "contract.version: expected text, found `1.0` (a num"),
        ("version: 1.0.0", "version: first", "contract.version: expected three numbers such as"),
        ("team:\n  name: fin", "team:\n  nam: fin", "contract.team: expected the owning team"),
        ("  - name: payments", "  - name: Payments", "schema.name: expected a name that SQL takes"),
        ("  - name: payments", "  - name: table", "schema.name: expected a name that is no reser"),
        ("payment-events", "payment events", "schema.physicalName: expected a Kafka topic"),
        ("physicalType: topic", "physicalType: table", "schema.physicalType: expected `topic`"),
        ("value: occurred_at", "value: occured_at", "did you mean `occurred_at`?"),
        ("value: occurred_at", "value: due_date", "expected a required field of logicalType time"),
        ("customer_id]", "email]", "messageKey: expected required fields only, found `email`"),
        ("[tenant_id, customer_id]", "tenant_id", "messageKey: expected a list of columns"),
        ("- name: risk", "- name: _risk", "expected a name that does not begin with an underscore"),
        ("- name: risk", "- name: attempts", "expected each column once, `attempts` is in line"),
        ("- name: risk", "- name: when", "expected a name that is no reserved word of SQL"),
        ("physicalName: time", "physicalName: risk", "risk: expected each payload member once"),
        ("logicalType: date\n", "logicalType: dat\n", "did you mean `date`?"),
        ("logicalType: date\n", "logicaltype: date\n", "did you mean `logicalType`?"),
        ("decimal(18, 2)", "decimal(39, 2)", "at most 38 digits"),
        ("decimal(18, 2)", "decimal(2, 3)", "a scale of at most that"),
        ("decimal(18, 2)", "money", "expected `double`, or `decimal(digits, scale)`"),
        ("minimum: 0", "minimum: none", "logicalTypeOptions.minimum: expected a number"),
        ("- value: failed", "- value: off", "(a YAML boolean); write \"off\" in quotation marks"),
        ("- value: failed", "- value: paid", "enum[1].value: expected each value once"),
        ("- value: failed", "- failed", "payments.status.enum[1]: expected a mapping"),
        ("value: 2", "value: 0", "slaProperties[0].value: expected a whole number of at least 1"),
        ("unit: y", "unit: weeks", "slaProperties[0].unit: expected `d` for days"),
        ("id: urn:example:contract:payments", "id:", "contract.id: expected text, found nothing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(
    payments_text: str, line_of: Callable[[str], int], right: str, wrong: str, says: str
) -> None:
    line = line_of(right)
    message = error_of(payments_text.replace(right, wrong))
    first = next(one for one in message.splitlines() if says in one)
    assert first.startswith(f"{PATH}:")
    if wrong == "physicalName: risk":
        line = line_of("- name: risk")  # the second of the two is the one to change
    assert int(first.split(":")[1]) == line


@pytest.mark.parametrize("value", ["yes please", "1", "'true'"])
def test_a_flag_that_is_no_boolean_is_refused(payments_text: str, value: str) -> None:
    text = payments_text.replace("classification: pii", f"required: {value}")
    assert "payments.email.required: expected true or false" in error_of(text)


def test_a_misspelt_required_does_not_make_a_field_optional(payments_text: str) -> None:
    typo = payments_text.replace("required: true", "requried: true", 2)
    assert "payments.tenant_id.requried: expected a key" in error_of(typo)


def test_a_key_that_is_given_twice_is_refused(payments_text: str) -> None:
    message = error_of(payments_text.replace("domain: finance", "version: 2.0.0"))
    assert f"{PATH}:5: payments.odcs.yaml.version: is given twice, first in line 4" in message


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(payments_text: str) -> None:
    text = payments_text.replace("kind: DataContract", "kind: x").replace("due_date", "Due")
    lines = [int(one.split(":")[1]) for one in error_of(text).splitlines()]
    assert len(lines) == 2
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("removed", "says"),
    [
        ("        primaryKey: true\n", "expected `primaryKey: true` on at least one field"),
        ("      - property: eventTime\n        value: occurred_at\n", "expected `property: eventT"),
        ("team:\n  name: finance\n", "contract.team: expected the owning team"),
        ("    physicalName: payment-events\n", "schema.physicalName: expected text, it is missing"),
        ("version: 1.0.0\n", "contract.version: expected text, it is missing"),
        ("          value:\n            logicalType: string\n", "labels.map.value: expected `logi"),
    ],
)
def test_what_is_missing_is_told(payments_text: str, removed: str, says: str) -> None:
    assert removed in payments_text
    assert says in error_of(payments_text.replace(removed, ""))


def test_a_contract_without_a_tenant_is_refused(payments_text: str) -> None:
    text = payments_text.replace("- name: tenant_id", "- name: account_id")
    assert "expected a field `tenant_id` with `logicalType: string`" in error_of(text)


def test_a_key_must_be_required_and_exact(payments_text: str) -> None:
    inexact = payments_text.replace(
        "- name: risk\n        logicalType: number",
        "- name: risk\n        primaryKey: true\n        logicalType: number",
    )
    message = error_of(inexact)
    assert "payments.risk: expected `required: true`, it is part of the key" in message
    assert "payments.risk: expected a type that can identify an event, not number" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: expected a data contract, the file is empty"),
        ("# nothing\n", ":1: expected a data contract, the file is empty"),
        ("- a\n- b\n", ":1: contract: expected a mapping of keys, found a list"),
        ("kind: [DataContract\n", ":2: expected YAML"),
        ("a: b: c\n", ":1: expected YAML"),
        ("kind: &x\n  id: *x\n", "expected a value, this alias contains itself"),
        ("kind: !!python/object:os.system x\n", "expected a plain value"),
        ("version: 2026-13-45\n", "expected a plain value, found `2026-13-45`"),
        ("kind: a\n\tid: b\n", ":2: expected YAML"),
        ("kind: \x00\n", "expected YAML"),
    ],
)
def test_what_is_no_contract_at_all_is_told_as_such(text: str, says: str) -> None:
    assert says in error_of(text)


def test_a_file_that_is_not_utf_8_is_told_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.odcs.yaml"
    path.write_bytes(b"kind: DataContract\nid: caf\xe9\n")
    with pytest.raises(ContractError, match=r"latin\.odcs\.yaml:2: expected UTF-8"):
        load_contract(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot be read: No such file"):
        load_contract(tmp_path / "none.odcs.yaml")


def test_the_error_that_the_guide_shows_is_what_a_user_sees(payments_text: str) -> None:
    guide = (Path(__file__).parents[3] / "docs/guides/add-a-contract.md").read_text()
    mistake = payments_text.replace("logicalType: boolean", "logicalType: bool")
    with pytest.raises(ContractError) as raised:
        load_contract(Path("contracts/payments.odcs.yaml"), mistake)
    shown = " ".join(guide.split("```text\nerror: ")[1].split("```")[0].split())
    assert shown == raised.value.message
