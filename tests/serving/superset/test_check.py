"""Charts that ask for what no mart has are found, and a model's owner learns who looks at it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving.errors import DefinitionError
from serving.superset.check import impact, problems
from serving.superset.definitions import FOLDER, Definitions, read_definitions
from serving.superset.marts import Project, read_project


def without_column(manifest: dict[str, Any], mart: str, column: str) -> Project:
    changed = copy.deepcopy({k: manifest[k] for k in ("nodes", "sources", "exposures")})
    node = next(n for n in changed["nodes"].values() if n["name"] == mart)
    del node["columns"][column]
    return read_project(changed)


def test_every_chart_has_its_dataset_and_columns(
    definitions: Definitions, project: Project
) -> None:
    assert [str(one) for one in problems(definitions, project)] == []


@pytest.mark.parametrize(
    ("mart", "column", "where"),
    [
        ("fct_revenue_daily", "gross_usd", "dataset gold.fct_revenue_daily"),
        ("fct_funnel", "wallet_connect_count", "dataset funnel_steps"),
        ("fct_geo", "country", "web_and_ico, 'Countries'"),
        ("fct_metrics_1m", "window_start", "dataset live.metrics_1m"),
        ("fct_experiments", "p_value", "product_and_channels, 'Experiments'"),
        ("fct_attribution_daily", "attribution_model", "marketing, 'Revenue by the last touch'"),
    ],
)
def test_a_column_that_a_model_loses_is_named_with_its_chart(
    manifest: dict[str, Any], definitions: Definitions, mart: str, column: str, where: str
) -> None:
    found = problems(definitions, without_column(manifest, mart, column))
    assert where in {one.where for one in found}
    assert all(column in one.what for one in found)


def test_a_model_that_is_gone_is_named(manifest: dict[str, Any], definitions: Definitions) -> None:
    changed = {**manifest, "exposures": {}}
    changed["nodes"] = {k: n for k, n in manifest["nodes"].items() if n["name"] != "fct_geo"}
    found = {str(one) for one in problems(definitions, read_project(changed))}
    assert "dataset gold.fct_geo: there is no mart gold.fct_geo" in found
    assert "marketing: dbt's project has no exposure of this name" in found


def test_the_impact_of_a_mart_are_its_charts(definitions: Definitions, project: Project) -> None:
    uses = impact(definitions, project, "fct_geo")
    assert {(use.dashboard, use.chart) for use in uses} == {
        ("Web and ICO", "Page views by country"),
        ("Web and ICO", "Countries"),
    }
    assert all({"country", "revenue_usd"} <= set(use.columns) for use in uses)


def test_the_impact_of_an_upstream_model_goes_all_the_way(
    definitions: Definitions, project: Project
) -> None:
    # bronze.ad_events -> silver.stg_ad_events -> the campaigns' marts, and the live view of one
    for model in ("ad_events", "stg_ad_events"):
        charts = {use.chart for use in impact(definitions, project, model)}
        assert {"Spend", "Clicks by hour, live", "Revenue by the first touch"} <= charts
        assert "Revenue by payment method" not in charts


def test_a_model_that_no_chart_stands_on_has_no_impact(
    definitions: Definitions, project: Project
) -> None:
    assert impact(definitions, project, "no_such_model") == []


def changed_definitions(folder: Path, page: str, change: str, becomes: str) -> Path:
    for path in FOLDER.rglob("*.yaml"):
        copied = folder / path.relative_to(FOLDER)
        copied.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        if path.name == page:
            assert change in text
            text = text.replace(change, becomes, 1)
        copied.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("page", "change", "becomes", "told"),
    [
        ("marketing.yaml", "kind: funnel", "kind: cake", r"marketing\.yaml: .*charts\.1\.kind"),
        ("datasets.yaml", "sum(people)", "sum(people) * 2", "a metric is"),
        ("datasets.yaml", "sum(people)", "(select 1)", "a metric is"),
        ("datasets.yaml", "[visitors,", "[visitor,", "gold.fct_funnel: .* no metric visitor"),
        ("datasets.yaml", "[visitors,", "[revenue_usd,", "does not have the metric revenue_usd"),
        ("marketing.yaml", "width: 3", "width: wide", "valid integer"),
        ("marketing.yaml", "exposure: marketing", "exposure: [", "cannot be read"),
        ("marketing.yaml", "grain: hour", "grane: hour", "grane: Extra"),
    ],
)
def test_a_definition_that_is_wrong_is_told_with_its_place(
    tmp_path: Path, page: str, change: str, becomes: str, told: str
) -> None:
    with pytest.raises(DefinitionError, match=told):
        read_definitions(changed_definitions(tmp_path, page, change, becomes))


@pytest.mark.parametrize(
    ("page", "change", "becomes", "told"),
    [
        ("marketing.yaml", "show: cpa_usd", "show: cpaa_usd", "has no metric cpaa_usd"),
        ("marketing.yaml", "of: ad_steps", "of: steps", "there is no dataset steps"),
        ("web_and_ico.yaml", "title: Sign-ups,", "title: Revenue,", "two charts are called"),
        ("web_and_ico.yaml", "by: verification_tier", "by: tier", "has no column tier"),
        ("marketing.yaml", "filters: [", "filters: [event_type, ", "event_type for a filter"),
    ],
)
def test_a_slip_in_a_definition_is_found(
    tmp_path: Path, project: Project, page: str, change: str, becomes: str, told: str
) -> None:
    slipped = read_definitions(changed_definitions(tmp_path, page, change, becomes))
    assert any(told in str(one) for one in problems(slipped, project))


def test_the_style_has_a_colour_for_each_label() -> None:
    style = yaml.safe_load((FOLDER / "style.yaml").read_text())
    assert all(colour.startswith("#") for colour in [*style["palette"], *style["labels"].values()])
