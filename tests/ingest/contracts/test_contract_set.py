"""All contracts together: the shipped ones and a folder of the user's own."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from ingest.contracts.arrow import payload_schema
from ingest.contracts.json_schema import payload_json_schema
from ingest.contracts.reference import reference_page
from ingest.contracts.registry import load_contracts
from ingest.errors import ContractError, UnknownContractError


@pytest.fixture
def folder(tmp_path: Path, payments_text: str) -> Path:
    (tmp_path / "payments.odcs.yaml").write_text(payments_text)
    return tmp_path


def test_a_sixth_contract_needs_nothing_but_its_file(folder: Path) -> None:
    contracts = load_contracts(folder)
    assert len(contracts) == 6
    payments = contracts.by_topic("payment-events")
    assert payments is contracts.by_name("payments")
    assert payments.path == folder / "payments.odcs.yaml"
    assert payload_schema(payments).field("amount_usd").type == pa.decimal128(18, 2)
    assert "time" in payload_json_schema(payments)["properties"]
    assert "`payment-events`" in reference_page(payments)


def test_contracts_come_in_the_order_of_their_names(folder: Path) -> None:
    names = load_contracts(folder).names()
    assert names == tuple(sorted(names))


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    (folder / "notes.yaml").write_text("not: a contract")
    (folder / "payments.md").write_text("# payments")
    assert len(load_contracts(folder)) == 6


def test_an_empty_folder_adds_nothing(tmp_path: Path) -> None:
    assert load_contracts(tmp_path).names() == load_contracts(None).names()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="expected a folder of contracts, there is none"):
        load_contracts(tmp_path / "none")


def test_a_topic_belongs_to_one_contract(folder: Path, payments_text: str) -> None:
    (folder / "payments.odcs.yaml").write_text(
        payments_text.replace("payment-events", "clickstream-events")
    )
    with pytest.raises(ContractError) as raised:
        load_contracts(folder)
    assert "expected a topic of its own, `clickstream-events` is that of" in raised.value.message
    assert str(folder / "payments.odcs.yaml") in raised.value.message


def test_a_name_belongs_to_one_contract(folder: Path, payments_text: str) -> None:
    (folder / "second.odcs.yaml").write_text(payments_text.replace("payment-events", "other"))
    with pytest.raises(ContractError, match="expected a name of its own, `payments` is that of"):
        load_contracts(folder)


def test_no_contract_takes_the_table_of_dead_letters(folder: Path, payments_text: str) -> None:
    (folder / "payments.odcs.yaml").write_text(
        payments_text.replace("- name: payments", "- name: dead_letters")
    )
    with pytest.raises(ContractError, match=r"bronze\.dead_letters is lakeward's own table"):
        load_contracts(folder)


def test_the_mistakes_of_all_files_are_told_at_once(folder: Path, payments_text: str) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.odcs.yaml").write_text(payments_text.replace("DataContract", "Data"))
    with pytest.raises(ContractError) as raised:
        load_contracts(folder)
    assert "a.odcs.yaml:2: " in raised.value.message
    assert "b.odcs.yaml:2: " in raised.value.message


def test_an_unknown_name_is_answered_with_the_nearest(folder: Path) -> None:
    contracts = load_contracts(folder)
    with pytest.raises(UnknownContractError, match="did you mean clickstream"):
        contracts.by_name("clickstreem")
    with pytest.raises(UnknownContractError, match="contract for the topic `payments`"):
        contracts.by_topic("payments")


def test_a_team_list_of_older_contracts_names_the_owner(folder: Path, payments_text: str) -> None:
    (folder / "payments.odcs.yaml").write_text(
        payments_text.replace("v3.2.0", "v3.0.2").replace("  name: finance", "  - username: ada")
    )
    assert load_contracts(folder).by_name("payments").owner == "ada"


def test_the_event_key_is_the_message_key_when_none_is_named(
    folder: Path, payments_text: str
) -> None:
    named = "      - property: messageKey\n        value: [tenant_id, customer_id]\n"
    assert named in payments_text
    (folder / "payments.odcs.yaml").write_text(payments_text.replace(named, ""))
    payments = load_contracts(folder).by_name("payments")
    assert payments.message_key == payments.key == ("tenant_id", "payment_id")


def test_key_positions_order_the_key(folder: Path, payments_text: str) -> None:
    first = payments_text.index("primaryKey: true")
    text = payments_text[:first] + "primaryKeyPosition: 2\n        " + payments_text[first:]
    second = text.rindex("primaryKey: true")
    text = text[:second] + "primaryKeyPosition: 1\n        " + text[second:]
    (folder / "payments.odcs.yaml").write_text(text)
    assert load_contracts(folder).by_name("payments").key == ("payment_id", "tenant_id")
