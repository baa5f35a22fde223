"""The dashboard: numbers of gold, in JSON, CSV and a real browser."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from deltalake import write_deltalake

from lake.tables import Lake
from lake.tenant_share import share_of
from serving.dashboard import answers, app
from serving.dashboard.pages import LIVE, PAGES
from serving.dashboard.server import Wishes, build
from tests.chromium import chromium_page

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2, which nothing else needs
    from starlette.testclient import TestClient

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
CHECKS = (
    "checked_at timestamptz, suite varchar, table_name varchar, rule varchar, severity varchar, "
    "success boolean, observed varchar, unexpected_count bigint"
)
ROWS = {
    "fct_metrics_60m": ("metric_date", "2026-03-10", {"event_count": 40, "revenue_usd": "12.50"}),
    "fct_metrics_1m": ("metric_date", "2026-03-10", {"event_count": 7, "page_view_count": 5}),
    "fct_funnel": ("funnel_date", "2026-03-10", {"visitor_count": 20, "signup_count": 5}),
    "fct_campaign_daily": (
        "campaign_date",
        "2026-03-10",
        {"spend_usd": "10.0000", "click_count": 3, "conversion_count": 0},
    ),
    "fct_activity_heatmap": (
        "activity_date",
        "2026-03-10",
        {"event_count": 9, "day_of_week": 2, "hour_of_day": 14},
    ),
    "fct_events_by_channel": ("event_date", "2026-03-10", {"event_count": 9}),
    "rpt_data_quality_daily": ("quality_date", "2026-03-10", {"message_count": 8}),
}
"""By mart: column of the day, the day, and what each of two tenants has."""
EARLY = ("2026-02-01", 5), ("2026-02-02", 10), ("2026-02-03", 20)
"""Days and page events of a third tenant."""


def columns_of(model: str) -> list[tuple[str, str]]:
    """Return the columns and types that the model's contract promises."""
    told = yaml.safe_load((ROOT / "dbt_project/models/gold" / f"{model}.yml").read_text())
    return [(one["name"], one["data_type"]) for one in told["models"][0]["columns"]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with every table of gold as its contract says, and rows in some."""
    folder = tmp_path_factory.mktemp("dashboard")
    lake = Lake(str(folder / "lake"))
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for path in sorted((ROOT / "dbt_project/models/gold").glob("*.yml")):
            columns = columns_of(path.stem)
            ddl = ", ".join(f"{name} {kind}" for name, kind in columns)
            connection.execute(f"create table {path.stem} ({ddl})")
            for tenant, factor in (("acme", 1), ("globex", 10)) if path.stem in ROWS else ():
                day_column, day, values = ROWS[path.stem]
                row: dict[str, Any] = {"tenant_id": tenant, day_column: day}
                row |= {n: "x" for n, k in columns if k == "varchar" and n not in row}
                row |= {n: f"{day} 11:00:00+00" for n, _ in columns if n == "window_start"}
                row |= {
                    n: float(v) * factor if n.endswith(("_count", "_usd")) else v
                    for n, v in values.items()
                }
                names = ", ".join(row)
                holes = ", ".join("?" * len(row))
                connection.execute(
                    f"insert into {path.stem} ({names}) values ({holes})", list(row.values())
                )
            if path.stem == "fct_metrics_60m":
                connection.executemany(
                    f"insert into {path.stem} (tenant_id, metric_date, event_count) "
                    "values ('initech', ?, ?)",
                    EARLY,
                )
            table = connection.execute(f"from {path.stem}").to_arrow_table()
            write_deltalake(
                lake.uri("gold", path.stem), table, partition_by=["tenant_id"], mode="append"
            )
        connection.execute(f"create table checks ({CHECKS})")
        write_deltalake(
            lake.uri("ops", "expectation_results"),
            connection.execute("from checks").to_arrow_table(),
        )
    docs = folder / "data_docs"
    docs.mkdir()
    (docs / "index.html").write_text("<h1>Data Docs</h1>")
    return folder


def client(home: Path, tenant: str | None = None) -> TestClient:
    lake = Lake(str(home / "lake"))
    app = build(
        lake,
        Wishes(tenant=tenant),
        lambda: None if tenant is None else share_of(lake, tenant),
        data_docs=home / "data_docs",
        now=lambda: NOW,
    )
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture(scope="module")
def everybody(home: Path) -> Iterator[TestClient]:
    with client(home) as made:
        yield made


@pytest.fixture(scope="module")
def acme(home: Path) -> Iterator[TestClient]:
    with client(home, "acme") as made:
        yield made


def first_row(made: TestClient, address: str) -> dict[str, Any]:
    told = made.get(address)
    assert told.status_code == 200, told.text
    return dict(zip(told.json()["names"], told.json()["rows"][0], strict=True))


def test_every_panel_asks_for_columns_that_its_mart_promises(everybody: TestClient) -> None:
    for page in PAGES:
        for panel in page.panels if page is not LIVE else ():
            told = everybody.get(f"/panels/{panel.name}.json")
            assert told.status_code == 200, (panel.name, told.text)
            assert {one.name for one in panel.columns} <= set(told.json()["names"]), panel.name


def test_a_tenants_dashboard_shows_its_rows_and_no_others(acme: TestClient) -> None:
    for shown in PAGES:
        text = acme.get(shown.path).text
        for panel in shown.panels:
            told = acme.get(f"/panels/{panel.name}.json")
            assert told.status_code == (200 if panel.mart.is_shared else 404), panel.name
            assert (f'id="{panel.name}"' in text) == panel.mart.is_shared, panel.name
    assert first_row(acme, "/panels/live_numbers.json")["event_count"] == 7
    assert first_row(acme, "/panels/web_numbers.json")["event_count"] == 40
    told = acme.get("/panels/web_numbers.json?tenant=globex")
    assert (told.status_code, told.json()["message"]) == (400, "this page has no filter 'tenant'")
    assert "globex" not in acme.get("/web").text
    assert acme.get("/data-docs/index.html").status_code == 404


def test_filters_change_the_numbers_and_wrong_ones_are_told_in_words(
    everybody: TestClient,
) -> None:
    numbers = "/panels/web_numbers.json"
    assert first_row(everybody, numbers)["event_count"] == 440
    assert first_row(everybody, f"{numbers}?tenant=globex")["event_count"] == 400
    day_after = first_row(everybody, f"{numbers}?from=2026-03-11&to=2026-03-11")
    known = {name: value for name, value in day_after.items() if not name.endswith("_is_full")}
    assert {name: value for name, value in known.items() if value is not None} == {
        "event_count_before": 440,
        "revenue_usd_before": 137.5,
    }
    injected = first_row(everybody, f"{numbers}?site=x' or 1=1 --")
    assert injected["event_count"] is None
    for query, says in (
        ("from=yesterday", "which is no day"),
        ("from=2026-03-11&to=2026-03-01", "is after"),
        ("colour=red", "no filter 'colour'"),
        ("from=2001-01-01&to=2026-01-01", "more than 1100 days"),
    ):
        told = everybody.get(f"{numbers}?{query}")
        assert (told.status_code, says in told.json()["message"]) == (400, True), told.text
        page = everybody.get(f"/web?{query}")
        assert (page.status_code, 'role="alert"' in page.text) == (400, True)


def test_a_change_is_told_only_against_a_period_that_was_recorded_in_full(
    everybody: TestClient,
) -> None:
    def compared(query: str) -> tuple[Any, ...]:
        row = first_row(everybody, f"/panels/web_numbers.json?{query}")
        numbers = tuple(row[f"event_count{part}"] for part in ("", "_before", "_change"))
        return numbers, row["event_count_before_is_full"]

    third = "tenant=initech&from=2026-02-03&to=2026-02-03"
    assert compared(third) == ((20, 10, 1.0), True)
    second = "tenant=initech&from=2026-02-02&to=2026-02-02"
    assert compared(second) == ((10, 5, None), False), "its first day may have begun at noon"
    assert compared("tenant=acme") == ((40, None, None), False)
    assert first_row(everybody, "/panels/live_numbers.json")["event_count_before_is_full"] is False


def test_a_cost_per_click_is_rounded_as_in_the_mart(everybody: TestClient) -> None:
    row = first_row(everybody, "/panels/ad_campaigns.json?tenant=acme")
    assert (row["cpc_usd"], row["cpa_usd"]) == (3.3333, None)


def test_an_answer_is_asked_for_again_only_when_a_table_has_changed(home: Path) -> None:
    lake = Lake(str(home / "lake"))
    with client(home) as made:
        told = made.get("/panels/quality_suites.json")
        same = {"if-none-match": told.headers["etag"]}
        assert made.get("/panels/quality_suites.json", headers=same).status_code == 304
        table = lake.open("ops", "expectation_results").to_pyarrow_table()
        write_deltalake(lake.uri("ops", "expectation_results"), table, mode="append")
    with client(home) as made:  # a version is looked up at most once a second
        again = made.get("/panels/quality_suites.json", headers=same)
        assert again.status_code == 200
        assert again.json()["tables"][0]["version"] == told.json()["tables"][0]["version"] + 1


def test_csv_is_what_the_panel_shows_with_every_digit(everybody: TestClient) -> None:
    told = everybody.get("/panels/web_numbers.csv?tenant=acme")
    (row,) = csv.DictReader(io.StringIO(told.text))
    assert (row["event_count"], row["revenue_usd"]) == ("40", "12.50")
    assert "web_numbers_2026-02-25_2026-03-10.csv" in told.headers["content-disposition"]


def test_without_a_lake_it_says_so_and_without_a_build_what_to_do(tmp_path: Path) -> None:
    with client(tmp_path) as made:
        assert made.get("/web").status_code == 200
        for address in ("/panels/web_funnel.json", "/panels/live_numbers.csv", "/freshness.json"):
            told = made.get(address)
            assert told.status_code == 503, told.text
            assert "there are no tables in the lake" in told.json()["message"]
            assert "lakeward write" in told.json()["hint"]
        rows = duckdb.sql("select 'acme' as tenant_id").to_arrow_table()
        write_deltalake(Lake(str(tmp_path / "lake")).uri("bronze", "clickstream"), rows)
        for address in ("/panels/web_funnel.json", "/panels/live_numbers.json"):
            told = made.get(address)
            assert told.status_code == 404, told.text
            assert "not there yet" in told.json()["message"]
            assert "lakeward build" in told.json()["hint"]


def test_a_query_that_takes_too_long_is_ended_and_the_next_one_answered(
    everybody: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "select count(*) as n from {source}, range(100000000) a, range(100000) b where {where}"
    page, usual = app.PANELS["web_funnel"]
    slow = replace(usual, name="slow", sql=sql, columns=())
    monkeypatch.setitem(app.PANELS, "slow", (replace(page, panels=(slow,)), slow))
    monkeypatch.setattr(answers, "LONGEST_S", 0.3)
    for _ in range(2):  # a failure is not remembered
        told = everybody.get("/panels/slow.json")
        assert told.status_code == 504, told.text
        assert "took longer than 0.3 s and was ended" in told.json()["message"]
    monkeypatch.setattr(answers, "LONGEST_S", 120.0)
    assert first_row(everybody, "/panels/web_funnel.json")["visitor_count"] == 220


def test_no_foreign_page_reads_it(everybody: TestClient) -> None:
    told = everybody.get("/", headers={"host": "evil.example"})
    assert told.status_code == 421
    policy = everybody.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert everybody.post("/panels/web_numbers.json").status_code == 405


def test_a_browser_shows_each_page_without_an_error_and_filters_and_exports(home: Path) -> None:
    command = [sys.executable, "-m", "lakeward", "dashboard", "--port", "0", "--tenant", "acme"]
    environment = {**os.environ, "LAKEWARD_HOME": str(home), "COLUMNS": "200"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            found = re.search(r"http://\S+", server.stderr.readline())
            assert found is not None
            with chromium_page() as page:
                look_at_each_page(page, found.group(0))
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
        assert "Traceback" not in server.stderr.read()


def look_at_each_page(page: Any, url: str) -> None:
    from playwright.sync_api import expect

    page.set_default_timeout(120_000)
    expect.set_options(timeout=120_000)
    broken: list[str] = []
    page.on("console", lambda said: broken.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    for one in PAGES:
        page.goto(url.rstrip("/") + one.path)
        expect(page.locator(".panel[aria-busy]")).to_have_count(0)
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.locator("html").evaluate("page => page.scrollWidth <= innerWidth"), one.path
        page.set_viewport_size({"width": 1440, "height": 960})
    assert broken == []

    page.goto(f"{url}web")
    events = page.locator("#web_numbers [data-measure=event_count] b")
    expect(events).to_have_text("40")
    tile = page.locator("#web_numbers [data-measure=event_count]")
    expect(tile).to_contain_text("no full earlier period")
    steps = page.locator("#web_funnel .step b")
    expect(steps.first).to_have_text("20")
    tip = page.locator("#web_activity .tip")
    for patience_ms in (*[2_000] * 30, 120_000):  # a chart that is drawn anew loses the focus
        page.locator("#web_activity .chart").focus()
        page.keyboard.press("Escape")
        expect(tip).to_be_hidden()
        page.keyboard.press("ArrowLeft")
        try:
            expect(tip).to_contain_text("Page events40", timeout=patience_ms)
            break
        except AssertionError:
            if patience_ms > 2_000:
                raise
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#web_numbers .csv").click()
    (row,) = csv.DictReader(io.StringIO(Path(download.value.path()).read_text()))
    assert row["event_count"] == "40"
    page.locator("select[name=site]").select_option("x")
    expect(page).to_have_url(re.compile("site=x"))
    expect(events).to_have_text("40")
    page.locator("input[name=to]").fill("2026-03-09")
    page.locator("input[name=to]").dispatch_event("change")
    expect(page).to_have_url(re.compile("to=2026-03-09"))
    expect(page.locator("#web_numbers .said")).to_contain_text("Nothing here")
    assert broken == []
