"""The query of a chart as Superset's chart data API takes it.

In a browser the plugin makes it from the form data. It is stored beside them, so that a chart can
be asked without a browser: by the API, by a report, by ``?format=csv``.
"""

from __future__ import annotations

from typing import Any

from serving.superset.chart_params import GRAINS
from serving.superset.definitions import Chart, Dataset


def query_context(chart: Chart, dataset: Dataset, form_data: dict[str, Any]) -> dict[str, Any]:
    """Return the query context of a chart with these form data."""
    is_raw = chart.kind == "rows"
    query: dict[str, Any] = {
        "columns": list(chart.show) if is_raw else _columns(chart, dataset),
        "filters": [
            {"col": one["subject"], "op": one["operator"], "val": one["comparator"]}
            for one in form_data["adhoc_filters"]
        ],
        "extras": {"having": "", "where": ""},
        "row_limit": chart.limit,
        "orderby": [],
        "annotation_layers": [],
        "applied_time_extras": {},
    }
    if is_raw:
        query["orderby"] = [[column, False] for column in chart.by]
    else:
        query["metrics"] = list(chart.show)
        if _columns(chart, dataset):
            query["orderby"] = [[chart.show[0], False]]
    if chart.kind == "comparison":
        query["time_offsets"] = ["inherit"]
        query["time_range"] = form_data["adhoc_filters"][0]["comparator"]
    return {
        "datasource": {"id": 0, "type": "table"},
        "force": False,
        "queries": [query],
        "form_data": form_data,
        "result_format": "json",
        "result_type": "full",
    }


def _columns(chart: Chart, dataset: Dataset) -> list[Any]:
    """The dimensions of a chart; time first, at its grain."""
    if chart.grain is None:
        return list(chart.by)
    rest = [column for column in chart.by if column != dataset.time]
    axis = {
        "columnType": "BASE_AXIS",
        "expressionType": "SQL",
        "label": dataset.time,
        "sqlExpression": dataset.time,
        "timeGrain": GRAINS[chart.grain],
    }
    return [axis, *rest]
