"""The rules of each layer, read from the parsed project: a model that breaks one fails here."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from lake.dbt_run import parse_project
from lakeward.marts_reference import marts_reference, project_documents
from serving.metric import AGGREGATES, load_metrics

MAY_READ = {"gold": {"silver"}, "silver": {"bronze", "silver"}}
ROLLUPS = {"fct_anomalies": {"fct_metrics_60m"}}
"""The marts that read a mart, and which: the README of gold says why."""
TYPE_OF_SUFFIX = {
    "_at": "timestamp with time zone",
    "_count": "bigint",
    "_date": "date",
    "_id": "varchar",
    "_ms": "double",
    "_share": "double",
}
"""What a gold column that ends so is, by the naming rules."""


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The parsed project."""
    home = tmp_path_factory.mktemp("rules")
    return parse_project(home=home)


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    assert len(found) > 15
    return found


@pytest.fixture(scope="module")
def gold(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [model for model in models if model["schema"] == "gold"]


def text_of(model: dict[str, Any]) -> object:
    """Return what a model is made of: its own text, or only a macro that several models share."""
    body = model["raw_code"].partition("}}")[2].strip()
    is_one_macro = body.startswith("{{") and body.endswith("}}") and body.count("{{") == 1
    return sorted(model["depends_on"]["macros"]) if is_one_macro else body


def test_gold_reads_silver_and_silver_reads_bronze(
    manifest: dict[str, Any], models: list[dict[str, Any]]
) -> None:
    nodes = {**manifest["nodes"], **manifest["sources"]}
    for model in models:
        rollups = ROLLUPS.get(model["name"], set())
        read = {
            nodes[up]["schema"]
            for up in model["depends_on"]["nodes"]
            if nodes[up]["name"] not in rollups
        }
        assert read <= MAY_READ[model["schema"]], model["name"]
        assert model["fqn"][1] == model["schema"], "the folder is the layer"


def test_every_model_says_its_grain_and_what_late_events_do(models: list[dict[str, Any]]) -> None:
    for model in models:
        words = model["description"].lower()
        assert "grain" in words, model["name"]
        assert "late" in words or model["name"] == "stg_rejected_events", model["name"]


def test_every_column_has_a_description(models: list[dict[str, Any]]) -> None:
    for model in models:
        assert model["columns"], model["name"]
        bare = [c["name"] for c in model["columns"].values() if not c["description"].strip()]
        assert bare == [], model["name"]


def test_every_gold_model_has_owner_contract_key_and_unit_test(
    manifest: dict[str, Any], gold: list[dict[str, Any]]
) -> None:
    names = {test["model"] for test in manifest["unit_tests"].values()}
    tested = [text_of(model) for model in gold if model["name"] in names]
    keyed = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "unique_key"
    }
    for model in gold:
        assert model["config"]["meta"].get("owner"), model["name"]
        assert model["contract"]["enforced"], model["name"]
        assert model["unique_id"] in keyed, f"{model['name']}: its key is not tested"
        assert text_of(model) in tested, f"{model['name']} has no unit test"


def test_gold_is_incremental_by_tenant_and_day_or_says_that_it_is_small(
    gold: list[dict[str, Any]],
) -> None:
    for model in gold:
        config = model["config"]
        if config["materialized"] == "table":
            assert "as many rows as" in model["description"].lower(), model["name"]
            continue
        assert config["materialized"] == "incremental", model["name"]
        assert config["partition_by"][0] == "tenant_id", model["name"]
        assert config["partition_by"][1].endswith("_date"), model["name"]


def test_every_gold_model_is_in_an_exposure(
    manifest: dict[str, Any], gold: list[dict[str, Any]]
) -> None:
    shown = {up for one in manifest["exposures"].values() for up in one["depends_on"]["nodes"]}
    assert [model["name"] for model in gold if model["unique_id"] not in shown] == []


def test_a_column_of_gold_has_the_type_that_its_name_says(gold: list[dict[str, Any]]) -> None:
    for model in gold:
        for column in model["columns"].values():
            where, kind = f"{model['name']}.{column['name']}", column["data_type"]
            if column["name"].endswith("_usd"):
                assert kind.startswith("decimal("), where
            if column["name"].startswith(("is_", "has_")):
                assert kind == "boolean", where
            for suffix, expected in TYPE_OF_SUFFIX.items():
                if column["name"].endswith(suffix):
                    assert kind == expected, where


def test_columns_of_one_name_have_one_type(gold: list[dict[str, Any]]) -> None:
    types: dict[str, set[str]] = defaultdict(set)
    for model in gold:
        for column in model["columns"].values():
            types[column["name"]].add(column["data_type"])
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}


def test_the_reference_of_the_marts_is_read_from_the_same_project(
    gold: list[dict[str, Any]],
) -> None:
    documented = {d.name: d for d in project_documents() if d.layer == "gold"}
    assert sorted(documented) == sorted(model["name"] for model in gold)
    for model in gold:
        found = documented[model["name"]]
        assert " ".join(found.description.split()) == " ".join(model["description"].split())
        for column in model["columns"].values():
            said = next(c for c in found.columns if c.name == column["name"])
            assert " ".join(said.description.split()) == " ".join(column["description"].split())


def test_the_page_of_the_marts_is_what_the_project_says() -> None:
    page = Path(__file__).parents[2] / "docs/reference/marts.md"
    assert page.read_text() == marts_reference(), "run `make docs`"


def test_every_mart_that_is_added_up_has_its_metrics_defined_once(
    manifest: dict[str, Any], gold: list[dict[str, Any]]
) -> None:
    """What readers of the files take for a metric is what dbt itself has parsed."""
    defined = load_metrics()
    assert set(defined) == {metric["name"] for metric in manifest["metrics"].values()}
    measures = {
        measure["name"]: (measure, model["node_relation"]["alias"])
        for model in manifest["semantic_models"].values()
        for measure in model["measures"]
    }
    columns = {model["name"]: set(model["columns"]) for model in gold}
    for metric in manifest["metrics"].values():
        found = defined[metric["name"]]
        assert (found.label, found.about) == (metric["label"], metric["description"].strip())
        if metric["type"] == "simple":
            measure, mart = measures[metric["type_params"]["measure"]["name"]]
            text = f"{AGGREGATES[measure['agg']]}({measure['expr']})"
            assert (found.mart, found.texts[mart]) == (mart, text)
        else:
            parts = [metric["type_params"][part]["name"] for part in ("numerator", "denominator")]
            upper, lower = (defined[part].texts[found.mart] for part in parts)
            assert found.texts[found.mart] == f"{upper} / {lower}"
        for mart in found.texts:
            assert set(found.of(mart).columns) <= columns[mart], (found.name, mart)


def test_semantic_models_name_columns_of_their_marts(
    manifest: dict[str, Any], gold: list[dict[str, Any]]
) -> None:
    columns = {model["name"]: set(model["columns"]) for model in gold}
    for model in manifest["semantic_models"].values():
        mart = model["node_relation"]["alias"]
        assert {dimension["name"] for dimension in model["dimensions"]} <= columns[mart], mart
        assert "tenant_id" in {dimension["name"] for dimension in model["dimensions"]}, mart


def test_marts_that_share_a_metric_are_held_to_the_same_number(
    manifest: dict[str, Any], gold: list[dict[str, Any]]
) -> None:
    """By a test ``same_total`` of dbt, directly or over others, or by being one SQL text."""
    names = {model["unique_id"]: model["name"] for model in gold}
    text = {model["name"]: text_of(model) for model in gold}
    ties = set()
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "same_total":
            said = node["test_metadata"]["kwargs"]
            ours = (names[node["attached_node"]], said["column"])
            ties.add(frozenset({ours, (said["to"].split("'")[1], said["to_column"])}))
    for metric in load_metrics().values():
        if " / " in metric.texts[metric.mart]:
            continue
        places = [(mart, metric.of(mart).columns[0]) for mart in metric.texts]
        held = {places[0]}
        for _ in places:
            held |= {one for tie in ties if tie & held for one in tie}
            held |= {one for one in places for other in held if text[one[0]] == text[other[0]]}
        assert set(places) <= held, f"{metric.name}: nothing holds {set(places) - held} to it"
