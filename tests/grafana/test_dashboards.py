"""The dashboards lie in order, and ask for metrics that are documented."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from expectations.suite import SEVERITIES
from ingest.collector import metrics as collector
from lake.writer import metrics as writer
from serving.watch import metrics
from tests.grafana.dashboards import DASHBOARDS, FOLDER, expressions, panels


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_provisioned_as_grafana_wants_it(path: Path) -> None:
    board = json.loads(path.read_text())
    sources = (FOLDER / "provisioning/datasources/prometheus.yml").read_text()
    source = yaml.safe_load(sources)["datasources"][0]
    assert board["uid"].startswith("lakeward-")
    assert board["title"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"], panel["title"]
        assert panel["type"] in ("timeseries", "stat", "bargauge")
        for target in panel["targets"]:
            assert target["datasource"] == {"type": source["type"], "uid": source["uid"]}
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells


def asked() -> str:
    """Return all that rules and panels ask Prometheus."""
    return "\n".join(((FOLDER.parent / "prometheus/alerts.yml").read_text(), *expressions()))


def test_every_metric_of_a_rule_or_panel_is_a_documented_one() -> None:
    known = {
        one.name for one in (*writer.DEFINITIONS, *collector.DEFINITIONS, *metrics.DEFINITIONS)
    }
    named = set(re.findall(r"\blakeward_(?:writer|collector|lake)_[a-z_]+", asked()))
    assert {name.removesuffix("_bucket") for name in named} <= known


def test_failed_expectations_are_asked_for_by_severities_that_there_are() -> None:
    found = re.findall(r'lakeward_lake_failed_rules\{severity=~?"([a-z|]+)"\}', asked())
    assert len(found) == asked().count("lakeward_lake_failed_rules") == 2
    assert {one for text in found for one in text.split("|")} <= set(SEVERITIES)
