"""The bundle that Superset imports: the same each time, complete, and with dbt's own words."""

from __future__ import annotations

import io
import json
import re
import zipfile
from typing import Any

import pytest

from serving.metric import Metric, load_metrics
from serving.superset.bundle import Bundle, label, render, unpivoted
from serving.superset.definitions import Definitions
from serving.superset.marts import Project

URI = "duckdb:////lake/catalog.duckdb?access_mode=read_only"


@pytest.fixture(scope="module")
def bundle(definitions: Definitions, project: Project) -> Bundle:
    return render(definitions, project, URI)


def part(bundle: Bundle, folder: str) -> list[dict[str, Any]]:
    return [one for path, one in bundle.files.items() if path.startswith(f"{folder}/")]


def test_the_same_definitions_make_the_same_bytes(
    bundle: Bundle, definitions: Definitions, project: Project
) -> None:
    assert bundle.zipped() == render(definitions, project, URI).zipped()
    with zipfile.ZipFile(io.BytesIO(bundle.zipped())) as archive:
        assert set(archive.namelist()) == {f"lakeward/{path}" for path in bundle.files}


def test_every_reference_leads_to_something(bundle: Bundle) -> None:
    datasets = {one["uuid"]: one for one in part(bundle, "datasets")}
    charts = {one["uuid"]: one for one in part(bundle, "charts")}
    assert len(charts) == sum(1 for path in bundle.files if path.startswith("charts/"))
    for dataset in datasets.values():
        assert dataset["database_uuid"] == part(bundle, "databases")[0]["uuid"]
    for chart in charts.values():
        assert chart["dataset_uuid"] in datasets
        query = json.loads(chart["query_context"])["queries"][0]
        dataset = datasets[chart["dataset_uuid"]]
        metrics = {one["metric_name"] for one in dataset["metrics"]}
        columns = {one["column_name"] for one in dataset["columns"]}
        assert set(query.get("metrics", ())) <= metrics
        assert {c if isinstance(c, str) else c["label"] for c in query["columns"]} <= columns
    for dashboard in part(bundle, "dashboards"):
        placed = [v for v in dashboard["position"].values() if isinstance(v, dict)]
        boxes = [one["meta"] for one in placed if one["type"] == "CHART"]
        assert boxes
        assert {box["uuid"] for box in boxes} <= set(charts)
        for row in (one for one in placed if one["type"] == "ROW"):
            widths = [dashboard["position"][c]["meta"]["width"] for c in row["children"]]
            assert sum(widths) == 12
        for one in dashboard["metadata"]["native_filter_configuration"]:
            for target in one["targets"]:
                assert target == {} or target["datasetUuid"] in datasets


def test_values_to_choose_from_are_those_of_a_lasting_dataset(bundle: Bundle) -> None:
    """Of the active sessions, the first chart there, a quiet hour would leave none."""
    datasets = {one["uuid"]: one["table_name"] for one in part(bundle, "datasets")}
    product = bundle.files["dashboards/product_and_channels.yaml"]
    offered = {
        one["name"]: datasets[target["datasetUuid"]]
        for one in product["metadata"]["native_filter_configuration"]
        for target in one["targets"]
        if target
    }
    assert offered["Tenant"] == offered["Channel"] == "fct_events_by_channel"


def test_descriptions_are_those_of_dbt(bundle: Bundle, project: Project) -> None:
    dataset = bundle.files["datasets/lakeward/gold_fct_funnel.yaml"]
    mart = project.marts["fct_funnel"]
    assert dataset["description"] == mart.description
    said = {one["column_name"]: one["description"] for one in dataset["columns"]}
    assert said == {name: column.description for name, column in mart.columns.items()}
    visitors = next(one for one in dataset["metrics"] if one["metric_name"] == "visitors")
    assert mart.columns["visitor_count"].description in visitors["description"]
    defined = load_metrics()["visitors"]
    assert visitors["verbose_name"] == defined.label
    assert visitors["description"].startswith(defined.about)
    assert visitors["expression"] == defined.texts["fct_funnel"]
    dashboard = bundle.files["dashboards/marketing.yaml"]
    assert dashboard["description"] == project.exposures["marketing"].description


def test_only_live_charts_are_asked_again_by_themselves(
    bundle: Bundle, definitions: Definitions
) -> None:
    for dashboard in definitions.dashboards:
        document = bundle.files[f"dashboards/{dashboard.exposure}.yaml"]
        boxes = {
            one["meta"]["chartId"]: one["meta"]["sliceName"]
            for one in document["position"].values()
            if isinstance(one, dict) and one["type"] == "CHART"
        }
        live = {chart.title for chart in dashboard.charts() if chart.last is not None}
        assert live, dashboard.exposure
        assert document["metadata"]["refresh_frequency"] == 30
        spared = {boxes[one] for one in document["metadata"]["timed_refresh_immune_slices"]}
        assert spared == set(boxes.values()) - live


def test_a_filter_leaves_alone_the_charts_without_its_column_and_both_say_so(
    bundle: Bundle, definitions: Definitions
) -> None:
    said = {one["uuid"]: one["description"] for one in part(bundle, "charts")}
    for dashboard in definitions.dashboards:
        document = bundle.files[f"dashboards/{dashboard.exposure}.yaml"]
        boxes = {
            one["meta"]["chartId"]: one["meta"]
            for one in document["position"].values()
            if isinstance(one, dict) and one["type"] == "CHART"
        }
        for one in document["metadata"]["native_filter_configuration"]:
            deaf = {boxes[number]["uuid"] for number in one["scope"]["excluded"]}
            for box in boxes.values():
                not_filtered = said[box["uuid"]].partition("Not filtered by: ")[2].rstrip(".")
                assert (one["name"] in not_filtered.split(", ")) == (box["uuid"] in deaf)
            assert deaf or one["description"].endswith("It reaches every chart.")
        if dashboard.exposure == "product_and_channels":
            by_name = {f["name"]: f for f in document["metadata"]["native_filter_configuration"]}
            assert list(by_name) == ["Dates", "Tenant", "Channel", "Event type"]
            reached = "It reaches “Events by channel”, “Events by type” and no other chart."
            assert by_name["Event type"]["description"] == f"What happened. {reached}"
            untimed = {boxes[n]["sliceName"] for n in by_name["Dates"]["scope"]["excluded"]}
            assert untimed >= {"Active sessions", "Experiments"}


def test_steps_are_the_columns_of_the_mart_unchanged(
    definitions: Definitions, project: Project
) -> None:
    sql = unpivoted(definitions.datasets["funnel_steps"], project.marts["fct_funnel"])
    parts = sql.split("union all")
    assert len(parts) == 4
    assert all(re.search(r", '[\w -]+' as step, \w+_count as people from", one) for one in parts)
    assert not re.search(r"[*+/]|sum\(|where", sql)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cpa_usd", "CPA (USD)"),
        ("purchase_count", "Purchases"),
        ("exposed_count", "Exposed"),
        ("page_views", "Page views"),
    ],
)
def test_names_are_shown_as_people_read_them(name: str, shown: str) -> None:
    assert label(name) == shown


def test_a_ratio_over_nothing_is_null() -> None:
    metric = Metric("ctr", "sum(click_count) / sum(impression_count)")
    assert metric.sql == "sum(click_count) / nullif(sum(impression_count), 0)"
    assert metric.columns == ("click_count", "impression_count")
