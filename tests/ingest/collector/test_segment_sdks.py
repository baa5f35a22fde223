"""Segment's own libraries, unchanged, pointed at the collector: each event is found in bronze."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.ingest.collector.bronze import drain, rows
from tests.ingest.collector.running import RunningCollector
from tests.npm.installed import NpmUnavailableError, node_modules

CHROMIUM = "/usr/bin/chromium"
SDKS = Path(__file__).with_name("sdks")
REQUIRED = "LAKEWARD_REQUIRE_SEGMENT_SDKS"


def leave_out(reason: str) -> None:
    if os.environ.get(REQUIRED, "0") not in ("", "0"):
        pytest.fail(f"{REQUIRED} is set, but {reason}", pytrace=False)
    pytest.skip(f"tests of Segment's libraries are left out: {reason}")


@pytest.fixture(scope="module")
def modules() -> Path:
    try:
        return node_modules("segment-sdks", SDKS)
    except NpmUnavailableError as error:
        leave_out(str(error))
        raise


def sent_by_python(collector: RunningCollector, key: str) -> None:
    from segment.analytics.client import Client

    failures: list[object] = []
    client = Client(
        key,
        host=collector.url,
        gzip=True,
        on_error=lambda error, _: failures.append(error),
        max_retries=2,
        timeout=30,
    )
    who = {"user_id": "python-user", "anonymous_id": "python-device"}
    client.identify(**who, traits={"plan": "pro"}, message_id="python-identify")
    client.track(**who, event="Paid", properties={"total": 9.5}, message_id="python-track")
    client.page(
        **who,
        name="Home",
        properties={"url": "https://shop.example/"},
        message_id="python-page",
    )
    client.screen(**who, name="Basket", message_id="python-screen")
    client.group(**who, group_id="g-1", traits={"seats": 3}, message_id="python-group")
    client.alias("python-old", "python-user", message_id="python-alias")
    client.shutdown()
    assert failures == []


def sent_by_node(collector: RunningCollector, key: str, modules: Path) -> None:
    done = subprocess.run(
        ["node", str(SDKS / "send.cjs"), collector.url, key],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class Quiet(SimpleHTTPRequestHandler):
    modules: Path

    def translate_path(self, path: str) -> str:
        if path.startswith("/analytics.js"):
            return str(self.modules / "@segment/analytics-next/dist/umd/index.js")
        return str(SDKS / "page.html")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def shop(modules: Path) -> Iterator[str]:
    """A page of another origin than the collector's."""
    handler = type("Shop", (Quiet,), {"modules": modules})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def sent_by_browser(collector: RunningCollector, key: str, shop: str) -> list[str]:
    import warnings

    if not Path(CHROMIUM).exists():
        leave_out(f"{CHROMIUM} is missing (apt-get install chromium)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(message.text))
        page.on("requestfailed", lambda request: told.append(f"{request.url} {request.failure}"))
        page.goto(f"{shop}/?collector={collector.url}&key={key}&utm_source=ads&utm_medium=cpc")
        page.wait_for_function("window.isDone", timeout=120_000)
        failed, ids = page.evaluate("[window.failed, window.messageIds]")
        browser.close()
    assert failed == [], told
    found: list[str] = ids
    return found


def test_each_event_of_segments_libraries_is_found_in_bronze(
    collector: RunningCollector,
    key: str,
    modules: Path,
    shop: str,
    shared_home: Path,
    embedded_server: str,
) -> None:
    sent_by_python(collector, key)
    sent_by_node(collector, key, modules)
    browser_ids = sent_by_browser(collector, key, shop)
    drain(shared_home, embedded_server)
    found = {row["event_id"]: row for row in rows(shared_home, "app_events", "acme")}

    kinds = ["identify", "track", "page", "screen", "group", "alias"]
    for library, channel in (("python", "server"), ("node", "server")):
        mine = {kind: found[f"{library}-{kind}"] for kind in kinds}
        assert {row["event_type"] for row in mine.values()} == {
            *("identify", "page_view", "screen_view", "group", "alias"),
            "Paid" if library == "python" else "Order Completed",
        }
        assert {row["user_id"] for row in mine.values()} == {f"{library}-user"}
        assert {row["channel"] for row in mine.values()} == {channel}
        assert {row["ip"] for row in mine.values()} == {None}
        assert json.loads(mine["identify"]["properties"]) == {"plan": "pro"}
        assert json.loads(mine["group"]["properties"]) == {"seats": 3, "groupId": "g-1"}
        assert json.loads(mine["alias"]["properties"])["previousId"] == f"{library}-old"
        assert mine["screen"]["screen_name"] == "Basket"
        assert mine["page"]["page_url"].startswith("https://shop.example/")
        assert json.loads(mine["track"]["context"])["library"]["name"].endswith(library)
    assert found["node-page"]["utm_source"] == "node"

    page, identify, track, group, screen, alias = (found[name] for name in browser_ids)
    assert (page["event_type"], track["event_type"]) == ("page_view", "Hat Viewed")
    assert (screen["event_type"], alias["event_type"]) == ("screen_view", "alias")
    assert (page["channel"], page["browser"], page["device_type"]) == ("web", "Chrome", "desktop")
    assert page["page_url"].startswith(shop)
    assert (page["utm_source"], page["utm_medium"]) == ("ads", "cpc")
    assert page["ip"] == "127.0.0.1"
    assert json.loads(page["properties"])["shelf"] == "hats"
    assert page["device_id"] == track["device_id"]
    # analytics-next puts the signed-in user over the one that alias() was given
    assert (track["user_id"], alias["user_id"]) == ("browser-user", "browser-user")
    assert json.loads(identify["properties"]) == {"plan": "free"}
    assert json.loads(group["properties"])["groupId"] == "browser-group"
    assert json.loads(alias["properties"])["previousId"] == "browser-user"
    for row in (page, track, alias):
        assert abs((row["occurred_at"] - row["received_at"]).total_seconds()) < 300
        assert row["sent_at"] is not None
        assert row["_rescued"] is None
