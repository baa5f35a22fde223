"""What a client gets for what it sends, and what an analyst finds of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.settings import IngestSettings
from ingest.tenants.access import open_registry
from tests.ingest.collector.bronze import drain, rows
from tests.ingest.collector.conftest import make_key
from tests.ingest.collector.running import PATIENCE_S, RunningCollector

CHROME = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36"
)


def event(event_id: str, **members: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "payload": {"event_id": event_id, "event_type": "opened", "occurred_at": now, **members}
    }


def reasons(answer: Any) -> list[str | None]:
    return [verdict.get("reason") for verdict in answer.json()["events"]]


def test_an_event_can_be_traced_from_its_row_to_the_request_and_every_digit_arrives(
    collector: RunningCollector, key: str, shared_home: Path, embedded_server: str
) -> None:
    sent = event("trace-1", page_url="https://a.example/?utm_source=news&utm_term=x", ip=None)
    answer = collector.post("/analytics", [sent], key, headers={"User-Agent": CHROME})
    assert answer.status_code == 200
    told = answer.json()
    assert told["events"] == [{"event_id": "trace-1", "status": "accepted"}]
    assert answer.headers["x-request-id"] == told["request_id"]
    numbers = b"[0.1000000000000000055,123456789012345678901234567890,1e-400,1.5,1e400,-0.25]"
    body = orjson.dumps(event("digits", properties="@")).replace(b'"@"', numbers)
    assert collector.post("/analytics", None, key, content=body).status_code == 200

    drain(shared_home, embedded_server)
    landed = {r["event_id"]: r for r in rows(shared_home, "app_events", "acme")}
    assert landed["digits"]["properties"] == numbers.decode()
    row = landed["trace-1"]
    assert row["request_id"] == told["request_id"]
    assert row["write_key_id"] == key.split("_")[1]
    assert abs(row["received_at"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert (row["ip"], row["user_agent"]) == ("127.0.0.1", CHROME)
    assert (row["browser"], row["os"], row["device_type"]) == ("Chrome", "Android", "mobile")
    assert (row["utm_source"], row["utm_term"], row["utm_medium"]) == ("news", "x", None)
    assert row["_rescued"] is None


def test_each_event_of_a_batch_gets_its_own_verdict(collector: RunningCollector, key: str) -> None:
    old = (datetime.now(UTC) - timedelta(days=800)).isoformat()
    ahead = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    batch = [
        event("good"),
        {"payload": {"event_id": "no-time", "event_type": "x"}},
        event("bad-time", occurred_at="yesterday"),
        event("foreign", tenant_id="globex"),
        event("old", occurred_at=old),
        event("ahead", occurred_at=ahead),
        event("deep", properties={"deep": deep}),
        event("large", properties={"text": "x" * 300_000}),
        {"contract": "nothing", "payload": {}},
        {"contract": "app_events"},
        {"payload": {}, "tenant": "acme"},
        7,
    ]
    answer = collector.post("/analytics", batch, key)
    assert answer.status_code == 207
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 11)
    assert reasons(answer) == [
        None,
        "missing_required",
        "invalid_required",
        "foreign_tenant",
        "too_old",
        "too_far_ahead",
        "too_deep",
        "too_large",
        "unknown_contract",
        "invalid_form",
        "invalid_form",
        "not_an_object",
    ]
    assert collector.post("/analytics", batch[1], key).status_code == 422


def test_the_key_may_come_in_four_ways(collector: RunningCollector, key: str) -> None:
    basic = base64.b64encode(f"{key}:".encode()).decode()
    for headers in ({"Authorization": f"Basic {basic}"}, {"Authorization": f"Bearer {key}"}):
        answer = collector.post("/analytics", event("k"), None, headers=headers)
        assert answer.status_code == 200, answer.text
    assert collector.post("/analytics", event("k"), key).status_code == 200
    beacon = json.dumps({"event": "left", "anonymousId": "a", "writeKey": key})
    answer = collector.post(
        "/v1/t", None, None, content=beacon, headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("wrong", [None, "", "nonsense", "lw_abcdefgh_wrong", "x" * 5_000])
def test_without_a_key_that_is_known_nothing_is_taken(
    collector: RunningCollector, wrong: str | None
) -> None:
    answer = collector.post("/analytics", event("k"), wrong)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert "www-authenticate" in answer.headers


def test_a_gzipped_body_is_unpacked_and_a_bomb_is_not(
    collector: RunningCollector, key: str
) -> None:
    def post(body: bytes, encoding: str = "gzip") -> int:
        return collector.post(
            "/analytics", None, key, content=body, headers={"Content-Encoding": encoding}
        ).status_code

    packed = gzip.compress(orjson.dumps(event("packed")))
    assert post(packed) == 200
    assert post(gzip.compress(b" " * 50_000_000)) == 413
    assert post(packed[:-9]) == 400
    assert post(packed + b"more") == 400
    assert post(b"no gzip") == 400
    assert post(packed, "br") == 415


def test_limits_of_a_request_are_answered(collector: RunningCollector, key: str) -> None:
    assert collector.post("/analytics", [event("n")] * 2_501, key).status_code == 413
    assert collector.post("/analytics", None, key, content=b"x" * 2_097_153).status_code == 413
    assert collector.post("/analytics", None, key, content=b'{"a":').status_code == 400
    assert collector.post("/analytics", None, key, content=b'"\xff"').status_code == 400
    assert collector.post("/analytics", [], key).status_code == 400
    assert collector.post("/v1/batch", {"batch": []}, key).status_code == 400
    assert collector.post("/v1/batch", [], key).status_code == 400


def test_requests_are_answered_in_order_however_they_come(
    collector: RunningCollector, key: str
) -> None:
    """Small requests run without a task; what is large, in chunks or asks first runs in one."""
    with_key = f"X-Write-Key: {key}\r\n"

    def request(
        name: str, head: str = with_key, size: int = 0, *, is_chunked: bool = False
    ) -> bytes:
        body = orjson.dumps(event(name, properties={"x": "x" * size}))
        line = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}"
        if is_chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        return f"POST /analytics HTTP/1.1\r\nHost: a\r\n{head}{line}\r\n\r\n".encode() + body

    def answers(*parts: bytes) -> list[str]:
        """Send the parts, and return the statuses and event ids until the connection ends."""
        with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as client:
            for part in parts:
                client.sendall(part)
                time.sleep(0.05)
            told = b"".join(iter(lambda: client.recv(65_536), b"")).decode()
        return re.findall(r"HTTP/1.1 (\d+)|\"event_id\":\"([\w-]+)\"", told)

    last = request("last", f"{with_key}Connection: close\r\n")
    both = [("200", ""), ("", "first"), ("200", ""), ("", "last")]
    first = request("first")
    assert answers(first + last) == both
    assert answers(*(first[at : at + 40] for at in range(0, len(first), 40)), last) == both
    assert answers(request("first", size=100_000) + last) == both
    assert answers(request("first", size=9_000), last) == both
    assert answers(request("first", is_chunked=True) + last) == both
    asks = request("first", f"{with_key}Expect: 100-continue\r\n")
    assert answers(asks + last) == [("100", ""), *both]
    refused = request("none", head="") * 500
    assert answers(refused + last) == [("401", "")] * 500 + both[2:]
    assert answers(last.replace(b"HTTP/1.1", b"HTTP/1.0", 1)) == both[2:]


def test_a_client_that_hangs_up_costs_nobody_anything(
    collector: RunningCollector, key: str
) -> None:
    body = orjson.dumps(event("gone"))
    head = f"POST /analytics HTTP/1.1\r\nX-Write-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    for sent in (head.encode() + body[:20], head.encode() + body):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", collector.port)) as client:
                client.sendall(sent)
    assert collector.post("/analytics", event("stays"), key).status_code == 200
    assert "Traceback" not in collector.said
    assert "request_failed" not in collector.said


def test_a_tenant_is_told_when_it_is_suspended(
    collector: RunningCollector, shared_home: Path
) -> None:
    secret = make_key(shared_home, "paused")
    registry = open_registry(IngestSettings(_env_file=None, home=shared_home))
    _until(collector, secret, 200)
    registry.suspend("paused", who="test")
    _until(collector, secret, 403)


def test_a_key_of_some_contracts_sends_no_other(
    collector: RunningCollector, shared_home: Path
) -> None:
    make_key(shared_home, "scoped")
    registry = open_registry(IngestSettings(_env_file=None, home=shared_home))
    only = registry.add_key("scoped", "ads", who="test", contracts={"ad_events"}).secret
    answer = _until(collector, only, 422)
    assert reasons(answer) == ["contract_not_allowed"]


def test_a_browser_may_ask_first(collector: RunningCollector) -> None:
    import httpx

    answer = httpx.options(
        f"{collector.url}/v1/t",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()


def _until(collector: RunningCollector, secret: str, status: int) -> Any:
    """Return the answer that has ``status``; the registry is read again within seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = collector.post("/analytics", event("u"), secret)
        if answer.status_code == status:
            return answer
        assert time.monotonic() < deadline, f"{answer.status_code}, not {status}: {answer.text}"
        time.sleep(0.25)
