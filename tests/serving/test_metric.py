"""A number has the same name and the same sums wherever people see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.dashboard.pages import PAGES
from serving.errors import MetricError
from serving.metric import Metric, is_metric, load_metrics

FILE = """\
semantic_models:
  - name: revenue
    model: ref('fct_revenue')
    measures:
      - {name: revenue_usd, label: Revenue, description: Paid., agg: sum, expr: gross_usd,
         create_metric: true, config: {meta: {also_in: {fct_geo: paid_usd}}}}
      - {name: payers, label: Payers, description: Who paid., agg: sum_boolean, expr: is_payer,
         create_metric: true}
metrics:
  - {name: revenue_share, label: Each, description: By payer., type: ratio,
     type_params: {numerator: revenue_usd, denominator: payers}}
"""


def project_with(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "models" / "semantic"
    folder.mkdir(parents=True)
    (folder / "revenue.yml").write_text(text)
    return tmp_path


def test_a_metric_is_read_with_every_mart_that_has_the_number(tmp_path: Path) -> None:
    found = load_metrics(project_with(tmp_path, FILE))
    assert found["revenue_usd"].texts == {
        "fct_revenue": "sum(gross_usd)",
        "fct_geo": "sum(paid_usd)",
    }
    # A ratio is where both of its parts are.
    each = found["revenue_share"]
    assert each.texts == {"fct_revenue": "sum(gross_usd) / count_if(is_payer)"}
    assert each.of("fct_revenue").sql == "sum(gross_usd) / nullif(count_if(is_payer), 0)"
    with pytest.raises(MetricError, match="fct_geo does not have the metric revenue_share"):
        each.of("fct_geo")


@pytest.mark.parametrize(
    ("change", "becomes", "told"),
    [
        ("agg: sum,", "agg: median,", "the measure revenue_usd is no metric"),
        ("numerator: revenue_usd", "numerator: revenue", "no ratio of two metrics"),
        ("ref('fct_revenue')", "source('a', 'b')", "is of no model"),
    ],
)
def test_what_the_reader_does_not_know_is_refused(
    tmp_path: Path, change: str, becomes: str, told: str
) -> None:
    with pytest.raises(MetricError, match=told):
        load_metrics(project_with(tmp_path, FILE.replace(change, becomes)))


def test_only_aggregates_and_ratios_of_them_are_metrics() -> None:
    assert is_metric("avg(a)")
    assert is_metric("count_if(is_b) / count(c)")
    for text in ("sum(a) * 2", "count(*)", "a", "sum(a) / 2", "sum(a) / sum(b) / sum(c)"):
        assert not is_metric(text)


def test_the_dashboard_calls_and_adds_up_a_number_as_its_metric_does() -> None:
    seen = set()
    for panel in (panel for page in PAGES for panel in page.panels):
        mart = panel.mart.table or panel.mart.name
        name = mart.removeprefix("gold.")
        metrics = [m.of(name) for m in load_metrics().values() if name in m.texts]
        by_column = {metric.measured: metric for metric in metrics}
        for column in panel.columns:
            metric = by_column.get(column.name)
            if metric is None or not added_up(metric, panel.sql):
                continue
            seen.add(metric.name)
            assert column.label == metric.label.removesuffix(" (USD)"), (panel.name, metric.name)
    assert {"revenue_usd", "purchases", "spend_usd", "ctr", "cpc_usd", "good_share"} <= seen


def added_up(metric: Metric, sql: str) -> bool:
    """Tell whether ``sql`` adds up every column of the metric, as the metric does."""
    return all(part.strip() in sql for part in metric.text.split(" / "))
