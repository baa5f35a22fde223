"""Clients that are slow, hasty or hostile cost the others nothing, and nothing private is told."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.collector import segment, statuses
from ingest.collector.reasons import REASONS
from ingest.tenants.model import Quota
from tests.ingest.collector.conftest import make_key
from tests.ingest.collector.running import PATIENCE_S, RunningCollector

PAGE = Path(__file__).parents[3] / "docs/reference/http-api.md"
SECRET_TEXT = "very-private-text"


@pytest.fixture(scope="module")
def strict(
    tmp_path_factory: pytest.TempPathFactory, embedded_server: str
) -> Iterator[RunningCollector]:
    """A collector with little patience."""
    home = tmp_path_factory.mktemp("strict")
    keys = {
        "hasty": make_key(home, "hasty-tenant", quota=Quota(requests_per_second=0.05, burst=3)),
        "calm": make_key(home, "calm-tenant"),
    }
    running = RunningCollector(
        home,
        KAFKA_BOOTSTRAP_SERVERS=embedded_server,
        LAKEWARD_COLLECTOR_REQUEST_SECONDS="1",
        LAKEWARD_COLLECTOR_CORS_ORIGINS="https://shop.example",
    )
    running.keys.update(keys)
    yield running
    assert running.stop() == 0


def event() -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    return {
        "payload": {
            "event_id": "e",
            "event_type": "x",
            "occurred_at": now,
            "properties": {"note": SECRET_TEXT},
        }
    }


def answer_to(collector: RunningCollector, *parts: bytes, pause: float = 0.3) -> bytes:
    """Send a request in parts, slowly; return what comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_S) as client:
        for part in parts:
            try:
                client.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        answer = b""
        try:
            while chunk := client.recv(65_536):
                answer += chunk
        except OSError:
            pass
        return answer


HEAD = b"POST /analytics HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"POST /ana"],
        [HEAD],
        [HEAD, *([b"X: y\r\n"] * 20)],
        [HEAD + b"\r\n{", *([b" "] * 20)],
    ],
    ids=["nothing", "a line", "half a head", "an endless head", "a slow body"],
)
def test_a_request_that_is_not_complete_in_time_is_ended(
    strict: RunningCollector, parts: list[bytes]
) -> None:
    answer = answer_to(strict, *parts)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert strict.get("/health").status_code == 200


def test_a_head_that_is_too_large_is_refused(strict: RunningCollector) -> None:
    answer = answer_to(strict, HEAD, b"X: " + b"y" * 40_000, pause=0)
    assert answer.startswith(b"HTTP/1.1 431 ")


def test_who_sends_too_often_waits_and_others_do_not(strict: RunningCollector) -> None:
    keys = strict.keys
    with ThreadPoolExecutor(8) as pool:
        hasty = pool.map(lambda _: strict.post("/analytics", event(), keys["hasty"]), range(16))
        calm = [strict.post("/analytics", event(), keys["calm"]).status_code for _ in range(5)]
        answers = list(hasty)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 5
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
    assert calm == [200] * 5


def test_pages_of_other_origins_are_not_let_in(strict: RunningCollector) -> None:
    for origin, allowed in (
        ("https://shop.example", "https://shop.example"),
        ("https://evil.example", None),
    ):
        answer = httpx.options(f"{strict.url}/analytics", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed


def test_no_key_payload_or_address_is_logged_or_measured(strict: RunningCollector) -> None:
    keys = strict.keys
    strict.post("/analytics", event(), keys["calm"])
    strict.post("/analytics", event(), keys["calm"] + "wrong")
    strict.post("/analytics", [event(), {"payload": {"x": SECRET_TEXT}}], keys["calm"])
    strict.post("/v1/t", {"event": SECRET_TEXT, "writeKey": keys["calm"]}, None)
    strict.post("/analytics", None, keys["calm"], content=f'{{"{SECRET_TEXT}'.encode())
    answer_to(strict, f"GET /{SECRET_TEXT} HTTP/9\r\n\r\n".encode())
    told = strict.said + strict.get("/metrics").text
    for private in (SECRET_TEXT, *keys.values(), "hasty-tenant", "calm-tenant", "127.0.0.1"):
        assert private not in told.replace(strict.url, "")


def test_the_page_of_the_api_has_every_path_status_and_reason(strict: RunningCollector) -> None:
    page = PAGE.read_text()
    document = strict.get("/openapi.json").json()
    for path in document["paths"]:
        assert f"`{path}`" in page, path
    of_app = {s for op in (statuses.ANALYTICS, statuses.SEGMENT, statuses.READ) for s in op} | {204}
    assert set(map(int, re.findall(r"^\| (\d{3}) \|", page, re.MULTILINE))) == of_app
    assert set(re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE)) == set(REASONS)
    assert {path for path, _ in segment.PATHS} <= document["paths"].keys()
    html = strict.get("/docs")
    assert html.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:src|href)=['\"](?!openapi.json)", html.text) == []


def test_a_wrong_turn_is_answered_with_the_right_one(strict: RunningCollector) -> None:
    key = strict.keys["calm"]
    slash = strict.post("/analytics/", event(), key)
    assert (slash.status_code, slash.json()["code"]) == (404, "not_found")
    assert "/docs" in strict.get("/").json()["message"]
    assert "POST" in strict.get("/analytics").json()["message"]
    assert "X-Write-Key" in strict.post("/analytics", event(), None).json()["message"]
    bare = strict.post("/analytics", event()["payload"], key).json()["events"][0]
    assert '{"payload": {...}}' in bare["detail"]
    unknown = strict.post("/analytics", {"contract": "x", "payload": {}}, key).json()["events"][0]
    assert "clickstream" in unknown["detail"]
    assert strict.get("/readyz").json()["tenant_registry"] == "ok"
    assert strict.metric("lakeward_collector_tenant_registry_age_seconds") < 60


def test_nothing_that_fits_the_openapi_document_makes_it_fail(strict: RunningCollector) -> None:
    keys = strict.keys
    schema = schemathesis.openapi.from_url(f"{strict.url}/openapi.json")
    # the short paths of analytics.js are the same endpoints, and each path costs a grammar
    distinct = [
        operation
        for operation in (found.ok() for found in schema.get_all_operations())
        if not re.fullmatch(r"/v1/(\w|import)", operation.path)
    ]
    cases = st.one_of(
        operation.as_strategy(generation_mode=mode)
        for operation in distinct
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    )

    @settings(
        max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(case=cases)
    def never_fails(case: schemathesis.Case) -> None:
        answer = case.call(headers={"X-Write-Key": keys["calm"]}, timeout=30)
        assert answer.status_code < 500
        documented = {*case.operation.definition.raw["responses"], "404", "405"}
        assert str(answer.status_code) in documented

    never_fails()
