"""The five contracts that come with lakeward say what was agreed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from ingest.contracts.model import Contract
from ingest.contracts.registry import SHIPPED, load_contracts

CONTRACTS = list(load_contracts(None))
each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)

FIELDS = {
    "clickstream": "event_id tenant_id session_id user_id occurred_at event_type page_type "
    "page_url referrer country device_type browser page_load_time scroll_depth site_id ip "
    "experiment variant utm_source utm_medium utm_campaign utm_term utm_content "
    "sent_at received_at user_agent os request_id write_key_id",
    "registrations": "registration_id tenant_id user_id session_id occurred_at email "
    "wallet_address social_handles consent_marketing kyc_completed verification_tier "
    "country site_id ip received_at request_id write_key_id",
    "conversions": "conversion_id tenant_id user_id session_id occurred_at conversion_type "
    "amount_usd token_amount token_symbol payment_method time_to_convert site_id "
    "received_at request_id write_key_id",
    "ad_events": "event_id tenant_id user_id occurred_at campaign_id channel event cost "
    "received_at request_id write_key_id",
    "app_events": "event_id tenant_id user_id device_id session_id occurred_at sent_at received_at "
    "channel event_type page_url screen_name conversation_id user_agent properties referrer ip "
    "device_type browser os utm_source utm_medium utm_campaign utm_term utm_content context "
    "request_id write_key_id",
}
REQUIRED = {
    "clickstream": "tenant_id event_id session_id occurred_at event_type",
    "registrations": "tenant_id registration_id user_id occurred_at",
    "conversions": "tenant_id conversion_id user_id session_id occurred_at conversion_type",
    "ad_events": "tenant_id event_id occurred_at campaign_id channel event",
    "app_events": "tenant_id event_id occurred_at event_type",
}
ALLOWED = {
    ("clickstream", "event_type"): "page_view click scroll form_interaction",
    ("clickstream", "device_type"): "desktop mobile tablet",
    ("app_events", "device_type"): "desktop mobile tablet",
    ("registrations", "verification_tier"): "basic advanced premium",
    ("conversions", "conversion_type"): "wallet_connect whitelist_join presale_participate "
    "token_purchase",
    ("conversions", "payment_method"): "ETH BTC USDT USDC",
    ("ad_events", "channel"): "email facebook_ads google_ads tiktok",
    ("ad_events", "event"): "impression click conversion",
    ("app_events", "channel"): "web mobile chat server",
}


def test_each_topic_has_its_contract() -> None:
    assert {c.name: c.topic for c in CONTRACTS} == {
        "clickstream": "clickstream-events",
        "registrations": "user-registrations",
        "conversions": "conversions",
        "ad_events": "marketing-events",
        "app_events": "analytics-events",
    }


@each_contract
def test_a_contract_has_the_agreed_fields(contract: Contract) -> None:
    assert {field.name for field in contract.fields} == set(FIELDS[contract.name].split())


@each_contract
def test_only_what_the_marts_need_is_required(contract: Contract) -> None:
    required = {field.name for field in contract.fields if field.required}
    assert required == set(REQUIRED[contract.name].split())


def test_lists_of_values_are_those_agreed_and_page_types_and_campaigns_stay_open() -> None:
    found = {(c.name, f.name): f.allowed for c in CONTRACTS for f in c.fields if f.allowed}
    assert found == {where: tuple(values.split()) for where, values in ALLOWED.items()}


def test_payload_members_differ_from_columns_only_where_agreed() -> None:
    found = {
        (c.name, f.name): f.payload_name
        for c in CONTRACTS
        for f in c.fields
        if f.payload_name != f.name
    }
    assert found == {
        ("clickstream", "occurred_at"): "timestamp",
        ("clickstream", "site_id"): "ico_website_id",
        ("ad_events", "occurred_at"): "ts",
    }


def test_personal_data_is_marked() -> None:
    found = {(c.name, f.name) for c in CONTRACTS for f in c.fields if f.pii}
    assert found == {
        ("app_events", "ip"),
        ("clickstream", "ip"),
        ("registrations", "email"),
        ("registrations", "ip"),
    }


def test_money_is_decimal_and_free_form_data_keeps_its_shape() -> None:
    kinds = {(c.name, f.name): f.kind for c in CONTRACTS for f in c.fields}
    assert kinds["conversions", "amount_usd"] == kinds["ad_events", "cost"] == "decimal"
    assert kinds["registrations", "social_handles"] == "map"
    assert kinds["app_events", "properties"] == "json"


@each_contract
def test_the_key_is_the_tenant_and_the_identifier_of_the_event(contract: Contract) -> None:
    identifier = {"registrations": "registration_id", "conversions": "conversion_id"}
    assert contract.key == ("tenant_id", identifier.get(contract.name, "event_id"))
    assert contract.event_time == "occurred_at"


def test_events_of_a_visit_share_a_partition() -> None:
    assert load_contracts(None).by_name("clickstream").message_key == ("tenant_id", "session_id")


@each_contract
def test_every_field_is_described(contract: Contract) -> None:
    assert [field.name for field in contract.fields if not field.description] == []
    assert contract.description
    assert contract.grain
    assert contract.owner


@pytest.fixture(scope="module")
def published() -> jsonschema.Draft201909Validator:
    package = importlib.util.find_spec("open_data_contract_standard")
    if package is None or package.origin is None:
        pytest.skip(
            "the published ODCS schema is missing: pip install open-data-contract-standard==3.2.0"
        )
    schema = json.loads((Path(package.origin).parent / "schema.json").read_text())
    return jsonschema.Draft201909Validator(schema)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.odcs.yaml")), ids=lambda p: p.name)
def test_a_contract_is_valid_by_the_published_schema(
    path: Path, published: jsonschema.Draft201909Validator
) -> None:
    published.validate(yaml.safe_load(path.read_text()))


def test_the_contract_of_the_guide_is_valid_by_the_published_schema(
    payments_text: str, published: jsonschema.Draft201909Validator
) -> None:
    published.validate(yaml.safe_load(payments_text))
