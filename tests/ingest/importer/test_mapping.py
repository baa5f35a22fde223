from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest.contracts.model import Contract
from ingest.contracts.registry import load_contracts
from ingest.errors import ImportFileError
from ingest.importer.mapper import Mapper
from ingest.importer.mapping import SHIPPED, Mapping, load_mapping
from ingest.importer.reasons import Refusal

MINIMAL: dict[str, Any] = {
    "tenant_id": {"const": "acme"},
    "user_id": "who",
    "session_id": "visit",
    "occurred_at": "at",
    "conversion_type": {"const": "token_purchase"},
}
LINE = {"who": "u-1", "visit": "s-1", "at": "2025-01-02T03:04:05Z"}


@pytest.fixture(scope="module")
def conversions() -> Contract:
    return load_contracts(None).by_name("conversions")


def write(tmp_path: Path, document: Any) -> str:
    path = tmp_path / "mapping.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return str(path)


def mapper(contract: Contract, fields: dict[str, Any], tenant: str | None = None) -> Mapper:
    mapping = Mapping.model_validate({"fields": MINIMAL | fields})
    return Mapper(contract, mapping, tenant, "file", from_text=False)


def made(contract: Contract, fields: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    payload = mapper(contract, fields).payload(LINE | line, 1)
    assert not isinstance(payload, Refusal), payload
    return payload


@pytest.mark.parametrize(
    ("rule", "line", "value"),
    [
        ("a.b", {"a": {"b": 5}}, 5),
        ("a.1.b", {"a": [{}, {"b": 6}]}, 6),
        ("a.b", {"a.b": 7}, 7),
        ("a.b.c", {"a": {"b": 5}}, None),
        ({"from": "a", "default": 8}, {}, 8),
        ({"const": False}, {}, False),
        ({"template": "{a}-{b.c}"}, {"a": 1, "b": {"c": "x"}}, "1-x"),
        ({"template": "{a}/{missing}"}, {"a": 1}, "1/"),
        ({"template": "{missing}"}, {}, None),
        ({"object": {"x": "a", "y": {"const": 2}}}, {"a": 1}, {"x": 1, "y": 2}),
        ({"from": "a", "transform": "lower"}, {"a": "ABC"}, "abc"),
        ({"from": "a", "transform": ["strip", "number"]}, {"a": " 1.50 "}, 1.5),
        ({"from": "a", "transform": "integer"}, {"a": "12"}, 12),
        ({"from": "a", "transform": "boolean"}, {"a": "Yes"}, True),
        ({"from": "a", "transform": "text"}, {"a": 5}, "5"),
        ({"from": "a", "transform": "md5"}, {"a": "x"}, "9dd4e461268c8034f5c8564e155c67a6"),
        ({"from": "a", "transform": "url_host"}, {"a": "https://Example.org/x?y"}, "example.org"),
        ({"from": "a", "transform": "url_path"}, {"a": "https://example.org/x?y"}, "/x"),
        ({"from": "a", "transform": [{"null_if": ["", "-"]}]}, {"a": "-"}, None),
        ({"from": "a", "transform": [{"lookup": {"1": "one"}}]}, {"a": 1}, "one"),
        (
            {"from": "a", "transform": {"timestamp": "%d.%m.%Y %H:%M %z"}},
            {"a": "02.01.2025 05:00 +0200"},
            "2025-01-02T03:00:00Z",
        ),
        (
            {"from": "a", "transform": {"timestamp": "unix_ms"}},
            {"a": 1735787045500},
            "2025-01-02T03:04:05.500000Z",
        ),
    ],
)
def test_a_rule_makes_the_value_it_says(
    conversions: Contract, rule: Any, line: dict[str, Any], value: Any
) -> None:
    assert made(conversions, {"site_id": rule}, line)["site_id"] == value


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ({"from": "a", "transform": "integer"}, {"a": "1.5"}),
        ({"from": "a", "transform": "number"}, {"a": "much"}),
        ({"from": "a", "transform": "boolean"}, {"a": "perhaps"}),
        ({"from": "a", "transform": {"timestamp": "%Y"}}, {"a": "soon"}),
        ({"from": "a", "transform": {"timestamp": "unix"}}, {"a": 1e30}),
    ],
)
def test_a_transform_that_cannot_work_refuses_the_line(
    conversions: Contract, rule: Any, line: dict[str, Any]
) -> None:
    refusal = mapper(conversions, {"site_id": rule}).payload(LINE | line, 1)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "mapping_failed"
    assert refusal.detail.startswith("site_id: ")


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        ({"visit": None}, "missing_required", "session_id"),
        ({"at": "yesterday"}, "invalid_required", "occurred_at"),
        ({"at": "2025-02-30T00:00:00Z"}, "invalid_required", "occurred_at"),
        ({"at": "2025-02-03"}, "invalid_required", "occurred_at"),
        ({"who": 5}, "invalid_required", "user_id"),
    ],
)
def test_a_line_without_what_is_required_is_refused(
    conversions: Contract, change: dict[str, Any], reason: str, detail: str
) -> None:
    refusal = mapper(conversions, {}).payload(LINE | change, 1)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert detail in refusal.detail


def test_an_event_without_an_id_gets_one_from_file_and_line(conversions: Contract) -> None:
    ids = [
        Mapper(
            conversions, Mapping.model_validate({"fields": MINIMAL}), None, file, from_text=False
        ).payload(dict(LINE), line)
        for file, line in (("f", 1), ("f", 1), ("f", 2), ("g", 1))
    ]
    values = [payload["conversion_id"] for payload in ids if not isinstance(payload, Refusal)]
    assert values[0] == values[1]
    assert len(set(values)) == 3
    own = made(conversions, {"conversion_id": "own"}, {"own": "c-9"})
    assert own["conversion_id"] == "c-9"


def test_the_tenant_of_the_command_line_wins(conversions: Contract) -> None:
    payload = mapper(conversions, {}, tenant="globex").payload(dict(LINE), 1)
    assert not isinstance(payload, Refusal)
    assert payload["tenant_id"] == "globex"


def test_fields_may_be_named_by_column_or_by_payload_member() -> None:
    clickstream = load_contracts(None).by_name("clickstream")
    for name in ("occurred_at", "timestamp"):
        rules = {"session_id": "visit", name: "at", "event_type": {"const": "click"}}
        mapping = Mapping.model_validate({"fields": rules})
        payload = Mapper(clickstream, mapping, "acme", "f", from_text=False).payload(LINE, 1)
        assert not isinstance(payload, Refusal)
        assert payload["timestamp"] == LINE["at"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.50", "12.50"),  # a decimal stays text: no digit is lost
        ("much", "much"),
        (None, None),
    ],
)
def test_csv_text_becomes_what_the_contract_says(
    conversions: Contract, text: str | None, value: Any
) -> None:
    record = {
        "tenant_id": "acme", "user_id": "7", "session_id": "8", "conversion_id": "9",
        "occurred_at": "2025-01-02T03:04:05", "conversion_type": "token_purchase",
        "amount_usd": text, "time_to_convert": "4.5",
    }  # fmt: skip
    payload = Mapper(conversions, None, None, "f", from_text=True).payload(record, 2)
    assert not isinstance(payload, Refusal)
    assert payload["amount_usd"] == value
    assert payload["time_to_convert"] == 4.5
    assert payload["user_id"] == "7"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("fields: [", "mapping.yaml:1"),
        ("- a\n", "mapping.yaml: the file"),
        ({}, "fields: Field required"),
        ({"fields": {}, "felds": {}}, "felds"),
        ({"fields": {"a": 5}}, "fields.a: expected a path"),
        ({"fields": {"a": {}}}, "exactly one of from, const, template, object"),
        ({"fields": {"a": {"from": "x", "const": 1}}}, "exactly one of from"),
        ({"fields": {"a": {"from": "x", "transform": "shout"}}}, "no transform is called `shout`"),
        ({"fields": {"a": {"from": "x", "transform": [{"null_if": [1], "lookup": {}}]}}}, "one of"),
        ({"fields": {"a": {"from": "x", "transfrom": "lower"}}}, "transfrom"),
        ({"format": "xml", "fields": {}}, "format"),
        ({"format": "combined", "fields": {"a": "adress"}}, "a log line has no `adress`"),
    ],
)
def test_a_wrong_mapping_says_where_and_what(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(ImportFileError) as caught:
        load_mapping(write(tmp_path, document))
    assert words in str(caught.value)
    assert "mapping.yaml" in str(caught.value)


def test_a_mapping_that_is_not_there_names_the_shipped_ones() -> None:
    with pytest.raises(ImportFileError) as caught:
        load_mapping("nowhere.yaml")
    assert "access_log" in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "extra", "words"),
    [
        ({"price": "x"}, {}, "fields.price"),
        ({}, {"site_id": "x"}, "extra.site_id"),
        ({"user_id": {"const": None}}, {}, None),
    ],
)
def test_a_mapping_must_fit_its_contract(
    conversions: Contract, fields: dict[str, Any], extra: dict[str, Any], words: str | None
) -> None:
    mapping = Mapping.model_validate({"fields": MINIMAL | fields, "extra": extra})
    if words is None:
        Mapper(conversions, mapping, None, "f", from_text=False)
        return
    with pytest.raises(ImportFileError, match=words):
        Mapper(conversions, mapping, None, "f", from_text=False)


def test_what_is_required_must_be_mapped(conversions: Contract) -> None:
    rules = {name: rule for name, rule in MINIMAL.items() if name != "session_id"}
    with pytest.raises(ImportFileError, match="session_id"):
        Mapper(conversions, Mapping.model_validate({"fields": rules}), None, "f", from_text=False)
    rules = {name: rule for name, rule in MINIMAL.items() if name != "tenant_id"}
    with pytest.raises(ImportFileError, match="--tenant"):
        Mapper(conversions, Mapping.model_validate({"fields": rules}), None, "f", from_text=False)


def test_a_contract_without_a_tenant_takes_none(conversions: Contract) -> None:
    without = replace(
        conversions, fields=tuple(f for f in conversions.fields if f.name != "tenant_id")
    )
    with pytest.raises(ImportFileError, match="no tenant_id"):
        Mapper(without, None, "acme", "f", from_text=False)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_mappings_fit_their_contracts(name: str) -> None:
    mapping = load_mapping(name)
    assert mapping.contract is not None
    contract = load_contracts(None).by_name(mapping.contract)
    Mapper(contract, mapping, "acme", "f", from_text=False)
