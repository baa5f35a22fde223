"""A real Superset, started as a user starts it: its charts, its numbers, and who sees what.

``LAKEWARD_REQUIRE_SUPERSET=1`` runs this module; Superset is installed once into the user's cache.
``SCREENSHOTS=<folder>`` keeps the pictures that docs/images holds.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from lakeward.superset_session import database_uri
from serving.catalog import catalog_path
from serving.errors import SupersetAnswerError
from serving.superset.api import SupersetApi, answers
from serving.superset.bundle import render
from serving.superset.definitions import Definitions
from serving.superset.embedded import Embedded, superset_folder
from serving.superset.environment import INSIDE, SupersetEnvironment, usual_folder
from serving.superset.marts import Project
from serving.superset.sync import sync
from serving.superset.tenant_roles import role_name
from tests.ports import free_ports
from tests.serving.superset.browser import superset_browser
from tests.serving.superset.live import PATIENCE_S, RunningSuperset, ask, fill, run

TENANT = "acme"
PASSWORD = "a-password-of-nobody"
NOTHING_NOW = {
    "Active sessions by page",
    "Page events by minute, live",
    "Sign-ups and conversions by five minutes, live",
}
"""Empty when the events end before the last half hour, or hours, as they may here."""
DAYS = "{0} >= current_date - 27 and {0} <= current_date"
NUMBERS = {
    "Visitors by day": f"select sum(visitor_count) from gold.fct_funnel where {DAYS}",
    "Revenue": f"select sum(gross_usd) from gold.fct_revenue_daily where {DAYS}",
    "Sign-ups": f"select sum(registration_count) from gold.fct_registrations_daily where {DAYS}",
    "Spend": f"select sum(spend_usd) from gold.fct_campaign_daily where {DAYS}",
    "Cost per acquisition": "select sum(spend_usd) / sum(conversion_count) "
    f"from gold.fct_campaign_daily where {DAYS}",
    "Conversations": f"select count(*) from gold.fct_conversations where {DAYS}",
    "Messages": f"select sum(message_count) from gold.rpt_data_quality_daily where {DAYS}",
}
TIMES = {
    "gold.fct_funnel": "funnel_date",
    "gold.fct_revenue_daily": "revenue_date",
    "gold.fct_registrations_daily": "registration_date",
    "gold.fct_campaign_daily": "campaign_date",
    "gold.fct_conversations": "conversation_date",
    "gold.rpt_data_quality_daily": "quality_date",
}


@pytest.fixture(scope="module")
def superset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuperset]:
    if os.environ.get("LAKEWARD_REQUIRE_SUPERSET", "0") in ("", "0"):
        pytest.skip(
            "tests on Superset are left out: LAKEWARD_REQUIRE_SUPERSET=1 installs it (800 MB from "
            "PyPI, once, into ~/.cache/lakeward) and runs them"
        )
    home = tmp_path_factory.mktemp("superset") / "home"
    home.mkdir()
    fill(home)
    running = RunningSuperset.start(home)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def admin(superset: RunningSuperset) -> SupersetApi:
    """Logged in anew for each test: a token is good for a quarter of an hour."""
    return SupersetApi.login(superset.url, "admin", superset.password)


@pytest.fixture
def charts(admin: SupersetApi) -> dict[str, int]:
    rows = admin.every("chart/", columns=["id", "slice_name"])
    return {str(row["slice_name"]): int(row["id"]) for row in rows}


def user(admin: SupersetApi, name: str, role: str) -> None:
    """Make a user with one role, as an administrator does."""
    roles = {row["name"]: row["id"] for row in admin.every("security/roles/")}
    admin.post(
        "security/users/",
        {
            "username": name,
            "first_name": name,
            "last_name": name,
            "active": True,
            "email": f"{name}@example.org",
            "password": PASSWORD,
            "roles": [roles[role]],
        },
    )


def rows_of(api: SupersetApi, chart: int) -> list[dict[str, Any]]:
    result = api.get(f"chart/{chart}/data/")["result"][0]
    assert result["error"] is None, result["error"]
    rows: list[dict[str, Any]] = result["data"]
    return rows


def expected(home: Path, title: str, more: str = "") -> float:
    sql = NUMBERS[title]
    table = re.search(r"from (\S+)", sql)
    assert table is not None
    row = ask(home, f"{sql.format(TIMES[table[1]])}{more}")[0]
    return float(str(next(iter(row.values())) or 0))


def test_up_tells_what_it_does_and_keeps_its_secrets(superset: RunningSuperset) -> None:
    assert "preparing Superset's metadata" in superset.said
    assert "4 dashboards, 60 charts" in superset.said
    folder = superset_folder(superset.home)
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = [p for p in superset.home.rglob("*") if p.is_file() and p.name != "up.log"]
    secret = superset.password.encode()
    assert [p for p in kept if p.stat().st_size < 50_000_000 and secret in p.read_bytes()] == []


def test_every_chart_has_data_and_no_error(admin: SupersetApi, charts: dict[str, int]) -> None:
    assert len(charts) == 60
    empty = set()
    for title, number in charts.items():
        if not rows_of(admin, number):
            empty.add(title)
    assert empty <= NOTHING_NOW


def test_numbers_are_those_of_gold(
    superset: RunningSuperset, admin: SupersetApi, charts: dict[str, int]
) -> None:
    for title in NUMBERS:
        row = rows_of(admin, charts[title])[0]
        now = next(value for name, value in row.items() if not name.endswith("__inherit"))
        assert now == pytest.approx(expected(superset.home, title), rel=1e-9), title


def test_another_sync_changes_nothing_and_removes_what_is_defined_no_more(
    superset: RunningSuperset,
    admin: SupersetApi,
    charts: dict[str, int],
    definitions: Definitions,
    project: Project,
) -> None:
    uri = database_uri(catalog_path(superset.home).resolve())
    page = next(one for one in definitions.dashboards if one.exposure == "marketing")
    renamed = page.rows[-1].charts[0].model_copy(update={"title": "A title of yesterday"})
    row = page.rows[-1].model_copy(update={"charts": (renamed,)})
    older = page.model_copy(update={"rows": (*page.rows[:-1], row)})
    dashboards = tuple(older if one is page else one for one in definitions.dashboards)
    earlier = definitions.model_copy(update={"dashboards": dashboards})
    gone = page.rows[-1].charts[0].title
    assert sync(admin, render(earlier, project, uri), [TENANT]).removed == (gone,)

    said = run(superset.home, "superset", "sync")
    assert "removed: A title of yesterday" in said
    found = {r["slice_name"]: r["id"] for r in admin.every("chart/", columns=["id", "slice_name"])}
    assert {n: i for n, i in found.items() if n != gone} == {
        n: i for n, i in charts.items() if n != gone
    }
    assert len(list(admin.every("dashboard/"))) == 4
    assert len(list(admin.every("database/"))) == 1


def test_an_analyst_of_a_tenant_sees_that_tenant_alone(
    superset: RunningSuperset, admin: SupersetApi, charts: dict[str, int]
) -> None:
    user(admin, "ann", role_name(TENANT))
    analyst = SupersetApi.login(superset.url, "ann", PASSWORD)
    for title in NUMBERS:
        row = rows_of(analyst, charts[title])[0]
        now = next(value for name, value in row.items() if not name.endswith("__inherit"))
        mine = expected(superset.home, title, f" and tenant_id = '{TENANT}'")
        assert float(now or 0) == pytest.approx(mine, rel=1e-9), title
        assert mine < expected(superset.home, title) or "acquisition" in title
    for title in ("The newest data of each tenant", "Unusual hours"):
        assert {row["tenant_id"] for row in rows_of(analyst, charts[title])} <= {TENANT}
    for dataset in admin.every("dataset/", columns=["id"]):
        seen = tenants_of(analyst, dataset["id"])
        assert seen <= tenants_of(admin, dataset["id"])
        assert seen <= {TENANT}
    for refused in ("sqllab/execute/", "dataset/"):
        with pytest.raises(SupersetAnswerError, match="refuses"):
            analyst.post(refused, {"database_id": 1, "sql": "select 1", "table_name": "x"})


def tenants_of(api: SupersetApi, dataset: int) -> set[str]:
    """Ask a dataset for its tenants, as a filter or a chart of one's own would."""
    query = {"columns": ["tenant_id"], "metrics": [], "filters": [], "row_limit": 1000}
    body = {
        "datasource": {"id": dataset, "type": "table"},
        "queries": [query],
        "result_format": "json",
        "result_type": "full",
    }
    return {row["tenant_id"] for row in api.post("chart/data", body)["result"][0]["data"]}


def test_who_has_no_role_of_ours_sees_no_row(superset: RunningSuperset, admin: SupersetApi) -> None:
    user(admin, "alf", "Alpha")  # may read every dataset
    other = SupersetApi.login(superset.url, "alf", PASSWORD)
    datasets = list(admin.every("dataset/", columns=["id"]))
    assert len(datasets) == 33
    assert all(tenants_of(other, one["id"]) == set() for one in datasets)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from glob('/*')",
        "set enable_external_access = true",
        "create table gold.mine as select 1",
    ],
)
def test_sql_of_an_administrator_reads_the_lake_and_nothing_else(
    admin: SupersetApi, sql: str
) -> None:
    database = next(iter(admin.every("database/", columns=["id"])))["id"]
    good = {"database_id": database, "sql": "select count(*) as n from gold.fct_funnel"}
    assert admin.post("sqllab/execute/", good)["data"][0]["n"] > 0
    with pytest.raises(SupersetAnswerError, match="refuses"):
        admin.post("sqllab/execute/", {"database_id": database, "sql": sql})


def test_every_dashboard_can_be_looked_at(
    superset: RunningSuperset, definitions: Definitions
) -> None:
    with superset_browser(superset) as browser:
        browser.log_in("admin", superset.password)
        for dashboard in definitions.dashboards:
            titles = [chart.title for chart in dashboard.charts()]
            says = {
                title: f"{expected(superset.home, title):,.0f}"
                for title in ("Visitors by day", "Sign-ups")
                if title in titles
            }
            browser.open_dashboard(dashboard.exposure.replace("_", "-"), titles, says)
            assert browser.page.locator(".ant-alert-error").all_inner_texts() == []
            keep(browser.page, f"superset-{dashboard.exposure.replace('_', '-')}")
        assert browser.failed == []


def test_an_analyst_in_the_browser_sees_the_numbers_of_one_tenant(
    superset: RunningSuperset,
) -> None:
    mine = expected(superset.home, "Sign-ups", f" and tenant_id = '{TENANT}'")
    with superset_browser(superset) as browser:
        browser.log_in("ann", PASSWORD)
        browser.open_dashboard("web-and-ico", ["Sign-ups"], {"Sign-ups": f"{mine:,.0f}"})


def test_a_login_is_not_undone_by_the_login_page(superset: RunningSuperset) -> None:
    """The page reports itself to the log while somebody logs in, with the session of before."""
    report = Request(f"{superset.url}/superset/log/?explode=events", data=b"events=[]")
    with urlopen(report) as answer:
        assert (answer.status, answer.headers["Set-Cookie"]) == (204, None)


def test_ctrl_c_stops_it(superset: RunningSuperset) -> None:
    assert superset.stop().rstrip().endswith("Superset has stopped")


def test_in_its_container_it_serves_the_same_to_an_administrator_of_the_environment_file(
    superset: RunningSuperset, tmp_path: Path
) -> None:
    """On the metadata that `superset up` left, which is quicker than to make them anew."""
    if superset.process.poll() is None:
        superset.stop()
    embedded = Embedded(
        superset.home, str(superset.home / "lake"), SupersetEnvironment(usual_folder())
    )
    shutil.copy(embedded.folder / "superset.db", tmp_path)
    (port,) = free_ports(1)
    url, given = f"http://127.0.0.1:{port}", "the-password-in-the-environment-file"
    log = tmp_path / "serve.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [embedded.environment.python, INSIDE / "serve.py", f"127.0.0.1:{port}"],
            cwd=tmp_path,
            env={
                **os.environ,
                **embedded.variables(),
                "SUPERSET_HOME": str(tmp_path),
                "LAKEWARD_SUPERSET_PASSWORD": given,
            },
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        api = SupersetApi.login(url, "lakeward", given)
        found = {
            r["slice_name"]: r["id"] for r in api.every("chart/", columns=["id", "slice_name"])
        }
        assert rows_of(api, found["Sign-ups"])
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert given not in log.read_text()


def keep(page: Any, name: str) -> None:
    """Take a picture of the upper part, when somebody wants it."""
    folder = os.environ.get("SCREENSHOTS")
    if folder is None:
        return
    page.wait_for_timeout(3_000)  # what moves on the page comes to rest
    page.screenshot(
        path=str(Path(folder) / f"{name}.png"),
        clip={"x": 0, "y": 0, "width": 1440, "height": 1720},
    )
