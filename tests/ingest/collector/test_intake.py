"""What is accepted is no dead letter: the quick check, the exact one and the writer agree."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.collector.check import micros_of_usual_text
from ingest.collector.intake import Intake
from ingest.collector.limits import EventLimits
from ingest.collector.numbers import read_json
from ingest.collector.request_context import RequestContext
from ingest.collector.segment import TYPES, payload_of
from ingest.collector.verdict import Accepted, Rejected
from ingest.contracts.exact import ExactDecoder, Row
from ingest.contracts.fit import fit_of
from ingest.contracts.json_text import NotJsonError, compact, parse
from ingest.contracts.model import Field
from ingest.contracts.registry import load_contracts
from ingest.tenants.model import Privacy, Tenant, WriteKey

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
CONTRACTS = list(load_contracts(None))
LIMITS = EventLimits(
    max_event_bytes=100_000, max_depth=32, max_age_micros=10**18, max_ahead_micros=10**18
)
INTAKES = {contract.name: Intake(contract, LIMITS) for contract in CONTRACTS}
WRITERS = {c.name: ExactDecoder(c, frozenset({"acme"})) for c in CONTRACTS}
PAYLOAD_NAMES = {c.name: [field.payload_name for field in c.fields] for c in CONTRACTS}


def request(**privacy: Any) -> RequestContext:
    tenant = Tenant("acme", "Acme", "active", Privacy(**privacy))
    return RequestContext.at(
        NOW,
        request_id="r-1",
        key=WriteKey("k-1", "default", tenant),
        peer="203.0.113.77",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    )


unhurried = settings(deadline=None)

_TEXTS = ["2026-03-01T09:30:00Z", "2026-02-30T00:00:00Z", "2026-03-01", "acme", "12.50"]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(_TEXTS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A payload that is often nearly right: good values, some of them replaced by any."""
    contract = draw(st.sampled_from(CONTRACTS))
    good: dict[str, Any] = {}
    for field in contract.fields:
        if field.name == "tenant_id" or (not field.required and draw(st.booleans())):
            continue
        good[field.payload_name] = {
            "timestamp": "2026-03-01T09:30:00.5+02:00",
            "number": 1.5,
            "decimal": "1.50",
            "boolean": True,
            "map": {"a": "b"},
        }.get(field.kind, f"{field.name}-1")
    names = st.sampled_from(PAYLOAD_NAMES[contract.name]) | st.text(max_size=6)
    changed = draw(st.dictionaries(names, json_values, max_size=3))
    return contract.name, good | changed


@unhurried
@given(payloads())
def test_what_is_accepted_becomes_a_row_and_what_is_rejected_would_be_a_dead_letter(
    made: tuple[str, dict[str, Any]],
) -> None:
    name, payload = made
    text = json.dumps(payload, ensure_ascii=False)
    try:
        read = read_json(text.encode())
    except (NotJsonError, UnicodeEncodeError):
        return
    verdict = INTAKES[name].take(read, request())
    if isinstance(verdict, Accepted):
        decoded = WRITERS[name].decode(verdict.value)
        assert isinstance(decoded, Row), decoded
        assert orjson.loads(verdict.value)["tenant_id"] == "acme"
        assert verdict.key.startswith(b"acme|")
    elif verdict.reason == "foreign_tenant":
        assert payload["tenant_id"] not in (None, "acme")
    else:
        claimed = {**payload, "tenant_id": "acme"}
        decoded = WRITERS[name].decode(json.dumps(claimed).encode())
        assert not isinstance(decoded, Row), verdict
        assert decoded.reason == verdict.reason


@unhurried
@given(json_values)
@example(0.1000000000000000055)
@example("1e400")
def test_reading_loses_nothing(value: Any) -> None:
    try:
        body = json.dumps(value, ensure_ascii=False).encode()
        wanted = parse(body.decode())
    except (UnicodeEncodeError, NotJsonError):
        return
    assert _same(compact(parse(orjson.dumps(read_json(body)).decode())), compact(wanted))


@pytest.mark.parametrize(
    "number",
    [
        *("1e400", "-1E-400", "0.12345678901234567", "9223372036854775808", "5e-324"),
        *("18446744073709551616", "1.10000000000000000001e5", "12345678901234567e300"),
        "[1,2e0400]",
    ],
)
def test_a_number_that_no_float_holds_stays_as_it_is_written(number: str) -> None:
    for body in (number, f'{{"id":"0e9991","n": {number}}}', f"[1, {number} ]"):
        again = orjson.dumps(read_json(body.encode())).decode()
        assert compact(parse(again)) == compact(parse(body))


@unhurried
@given(
    st.from_regex(
        r"20[0-9]{2}[-W0]?[01][0-9][-0]?[0-3][0-9][T ][0-2][0-9][:0]?[0-5][0-9][:0]?[0-6][0-9]"
        r"([.,][0-9]{1,7})?(Z|z|[+-]0[0-9]:?00(:00)?)?",
        fullmatch=True,
    )
)
@example("2026-W09-7T09:30:00Z")
@example("20260301T093000.123Z")
@example("2026-03-01T09:30:00,123Z")
@example("2026-03-01T24:00:00Z")
def test_a_time_is_read_as_the_writer_reads_it(text: str) -> None:
    quick = micros_of_usual_text(text)
    assert quick is None or quick == fit_of(Field("at", "at", "timestamp"))(text)


@pytest.mark.parametrize("text", ["{", "[1,]", "NaN", '"\\ud800"', '{"a":1e400,}', "", "\x01"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(NotJsonError):
        read_json(text.encode())


_MEMBERS = [
    *("messageId", "userId", "anonymousId", "event", "properties", "traits", "context", "groupId"),
    *("previousId", "name", "timestamp", "originalTimestamp", "sentAt", "extra"),
]


@unhurried
@given(
    kind=st.sampled_from([*TYPES, "nix"]),
    members=st.dictionaries(
        st.sampled_from(_MEMBERS),
        json_values,
    ),
)
def test_any_message_of_segment_gets_a_verdict_and_what_is_accepted_a_row(
    kind: str, members: dict[str, Any]
) -> None:
    try:
        message = read_json(json.dumps({"type": kind, **members}, ensure_ascii=False).encode())
    except (NotJsonError, UnicodeEncodeError):
        return
    payload = payload_of(message, request())
    if isinstance(payload, Rejected):
        return
    verdict = INTAKES["app_events"].take(payload, request())
    if isinstance(verdict, Accepted):
        assert isinstance(WRITERS["app_events"].decode(verdict.value), Row)


def test_a_clock_that_is_an_hour_slow_is_set_right() -> None:
    message = {
        "type": "track",
        "event": "paid",
        "messageId": "m",
        "timestamp": "2026-03-01T10:59:50.000Z",
        "sentAt": "2026-03-01T11:00:00.000Z",
    }
    payload = payload_of(message, request())
    assert isinstance(payload, dict)
    assert payload["occurred_at"] == "2026-03-01T11:59:50.250000Z"
    assert payload["sent_at"] == "2026-03-01T11:00:00.000Z"


@pytest.mark.parametrize(
    ("setting", "kept"), [("keep", "203.0.113.77"), ("truncate", "203.0.113.0"), ("drop", None)]
)
def test_an_address_is_kept_as_the_tenant_says(setting: str, kept: str | None) -> None:
    payload = {"event_id": "e", "event_type": "x", "occurred_at": "2026-03-01T09:30:00Z"}
    verdict = INTAKES["app_events"].take(dict(payload), request(ip=setting, user_agent="parsed"))
    assert isinstance(verdict, Accepted)
    found = orjson.loads(verdict.value)
    assert found.get("ip") == kept
    assert "user_agent" not in found
    assert (found["browser"], found["os"], found["device_type"]) == ("Firefox", "Linux", "desktop")


def test_the_address_of_a_server_is_not_a_visitors() -> None:
    payload = {"event_id": "e", "event_type": "x", "occurred_at": "2026-03-01T09:30:00Z"}
    verdict = INTAKES["app_events"].take(payload, request(ip="keep"), is_from_server=True)
    assert isinstance(verdict, Accepted)
    assert {"ip", "browser"} & orjson.loads(verdict.value).keys() == set()


def test_events_of_a_session_share_a_key() -> None:
    base = {"event_type": "x", "occurred_at": "2026-03-01T09:30:00Z", "device_id": "d"}
    keys = []
    for number in range(3):
        payload = {**base, "event_id": f"e{number}", "session_id": "s"}
        verdict = INTAKES["app_events"].take(payload, request())
        assert isinstance(verdict, Accepted)
        keys.append(verdict.key)
    assert set(keys) == {b"acme|s"}


def _same(one: str, other: str) -> bool:
    """``-0`` is ``0``: no column tells the two apart."""
    return one.replace("-0.0", "0.0") == other.replace("-0.0", "0.0").replace("-0,", "0,") or (
        parse(one) == parse(other)
    )
