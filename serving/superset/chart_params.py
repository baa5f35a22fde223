"""What Superset's chart plugins want to be told: one function for each kind of chart.

The names are those of Superset 6.1's controls, as its own exports have them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from serving.superset.definitions import Chart, Dataset, Kind, Style

Params = dict[str, Any]
GRAINS: Final = {
    "window": None,
    "minute": "PT1M",
    "hour": "PT1H",
    "day": "P1D",
    "week": "P1W",
    "month": "P1M",
}
_TIME_FORMATS: Final = {"window": "%H:%M", "minute": "%H:%M", "hour": "%d %b %H:%M"}


_KEY_VALUE_PERCENT: Final = 5
"""The funnel plugin's number for a label of name, value and share."""


def last_days(days: int) -> str:
    """Superset's words for so many days, today among them."""
    return f'DATEADD(DATETIME("today"), -{days - 1}, day) : DATEADD(DATETIME("today"), 1, day)'


def time_range(chart: Chart, days: int) -> str:
    """The range of time that a chart shows before somebody filters."""
    if chart.last is None:
        return last_days(days)
    number, unit = chart.last.split()
    return f'DATEADD(DATETIME("now"), -{number}, {unit.rstrip("s")}) : now'


def filters(chart: Chart, dataset: Dataset, days: int) -> list[Params]:
    """The chart's own filters: its range of time, and the values it is about."""
    found: list[Params] = []
    if dataset.time is not None:
        found.append(_filter(dataset.time, "TEMPORAL_RANGE", time_range(chart, days)))
    return found + [_filter(column, "==", value) for column, value in chart.where.items()]


def params(chart: Chart, dataset: Dataset, style: Style, days: int) -> Params:
    """Return the form data of a chart."""
    viz_type, more = _KINDS[chart.kind](chart, dataset, style)
    return {
        "viz_type": viz_type,
        "adhoc_filters": filters(chart, dataset, days),
        "color_scheme": "lakeward",
        "row_limit": chart.limit,
        "extra_form_data": {},
        **more,
    }


def _filter(column: str, operator: str, value: str) -> Params:
    return {
        "clause": "WHERE",
        "expressionType": "SIMPLE",
        "subject": column,
        "operator": operator,
        "comparator": value,
    }


def _formats(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, str]:
    return style.format(dataset.metric(chart.show[0]).measured)


def _number(chart: Chart, dataset: Dataset, style: Style) -> Params:
    return {
        "metric": chart.show[0],
        "y_axis_format": _formats(chart, dataset, style)[0],
        "header_font_size": 0.4,
        "subheader_font_size": 0.15,
    }


def _comparison(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    more = {
        "time_compare": ["inherit"],
        "percentDifferenceFormat": ".0%",
        "header_font_size": 0.3,
        "subheader_font_size": 0.125,
        "comparison_color_enabled": True,
        "comparison_color_scheme": "Red" if chart.is_less_better else "Green",
        "column_config": {},
    }
    return "pop_kpi", {**_number(chart, dataset, style), **more}


def _total(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    return "big_number_total", _number(chart, dataset, style)


def _trend(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    more = {
        **_time(chart, dataset),
        "show_trend_line": True,
        "start_y_axis_at_zero": True,
        "compare_lag": 7 if chart.grain == "day" else 1,
        "compare_suffix": "in 7 days" if chart.grain == "day" else "",
        "rolling_type": "None",
    }
    return "big_number", {**_number(chart, dataset, style), **more}


def _time(chart: Chart, dataset: Dataset) -> Params:
    assert chart.grain is not None
    return {"x_axis": dataset.time, "time_grain_sqla": GRAINS[chart.grain]}


def _series(viz_type: str) -> Callable[[Chart, Dataset, Style], tuple[str, Params]]:
    def make(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
        axis = (
            {**_time(chart, dataset), "groupby": list(chart.by)}
            if chart.grain is not None
            else {"x_axis": chart.by[0], "groupby": list(chart.by[1:])}
        )
        single, short = _formats(chart, dataset, style)
        is_timed = chart.grain is not None
        return viz_type, {
            **axis,
            "metrics": list(chart.show),
            "y_axis_format": short,
            "tooltipTimeFormat": "smart_date",
            "x_axis_time_format": _TIME_FORMATS.get(chart.grain or "", "%d %b"),
            "x_axis_sort_asc": is_timed,
            **({} if is_timed else {"x_axis_sort": chart.show[0], "orientation": "vertical"}),
            "sort_series_type": "sum",
            "sort_series_ascending": False,
            "order_desc": True,
            "limit": 12,
            "stack": "Stack" if chart.is_stacked else None,
            "show_legend": bool(chart.by[0 if is_timed else 1 :]) or len(chart.show) > 1,
            "legendType": "scroll",
            "legendOrientation": "top",
            "rich_tooltip": True,
            "showTooltipTotal": chart.is_stacked,
            "truncate_metric": True,
            "truncateYAxis": False,
            "y_axis_bounds": [None, None],
            "minorSplitLine": False,
            "markerEnabled": False,
            "zoomable": False,
            "opacity": 0.4,
            "single_value_format": single,
        }

    return make


def _funnel(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    return "funnel", {
        "groupby": list(chart.by),
        "metric": chart.show[0],
        "sort_by_metric": True,
        "percent_calculation_type": "first_step",
        "number_format": _formats(chart, dataset, style)[0],
        "label_type": _KEY_VALUE_PERCENT,
        "tooltip_label_type": _KEY_VALUE_PERCENT,
        "show_labels": True,
        "show_tooltip_labels": True,
        "show_legend": False,
        "legendOrientation": "top",
        "legendMargin": None,
    }


def _donut(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    return "pie", {
        "groupby": list(chart.by),
        "metric": chart.show[0],
        "donut": True,
        "innerRadius": 45,
        "outerRadius": 70,
        "number_format": _formats(chart, dataset, style)[1],
        "label_type": "key_percent",
        "show_labels": True,
        "labels_outside": True,
        "label_line": True,
        "show_labels_threshold": 4,
        "show_legend": False,
        "sort_by_metric": True,
        "date_format": "smart_date",
    }


def _heatmap(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    across, down = chart.by
    return "heatmap_v2", {
        "x_axis": across,
        "groupby": down,
        "metric": chart.show[0],
        **({"time_grain_sqla": GRAINS[chart.grain]} if chart.grain else {}),
        "sort_x_axis": "alpha_asc",
        "sort_y_axis": "alpha_desc",
        "normalize_across": "heatmap",
        "legend_type": "continuous",
        "linear_color_scheme": "lakeward_sequential",
        "show_legend": True,
        "show_percentage": False,
        "show_values": False,
        "value_bounds": [None, None],
        "xscale_interval": -1,
        "yscale_interval": -1,
        "left_margin": "auto",
        "bottom_margin": "auto",
        "x_axis_time_format": "%d %b",
        "y_axis_format": _formats(chart, dataset, style)[1],
    }


def _map(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    return "world_map", {
        "entity": chart.by[0],
        "country_fieldtype": "cca2",
        "metric": chart.show[0],
        "secondary_metric": chart.show[-1],
        "show_bubbles": len(chart.show) > 1,
        "max_bubble_size": "25",
        "sort_by_metric": True,
        "color_by": "metric",
        "linear_color_scheme": "lakeward_sequential",
        "y_axis_format": _formats(chart, dataset, style)[1],
    }


def _table(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    return "table", {
        "query_mode": "aggregate",
        "groupby": list(chart.by),
        "metrics": list(chart.show),
        "all_columns": [],
        "percent_metrics": [],
        "timeseries_limit_metric": chart.show[0],
        "order_desc": True,
        **({"time_grain_sqla": GRAINS[chart.grain]} if chart.grain else {}),
        **_table_look(chart, dataset, style),
    }


def _rows(chart: Chart, dataset: Dataset, style: Style) -> tuple[str, Params]:
    return "table", {
        "query_mode": "raw",
        "groupby": [],
        "metrics": [],
        "all_columns": list(chart.show),
        "order_by_cols": [json.dumps([chart.by[0], False])] if chart.by else [],
        **_table_look(chart, dataset, style),
    }


def _table_look(chart: Chart, dataset: Dataset, style: Style) -> Params:
    measured = {
        name: dataset.metric(name).measured if name in dataset.metrics else name
        for name in chart.show
    }
    known: dict[str, Params] = {}
    for name, column in measured.items():
        if column.endswith("_date"):
            known[name] = {"d3TimeFormat": "%Y-%m-%d"}
        elif any(column.endswith(ending) for ending in style.formats):
            known[name] = {"d3NumberFormat": style.format(column)[0]}
    return {
        "column_config": known,
        "table_timestamp_format": "%Y-%m-%d %H:%M",
        "include_search": False,
        "page_length": 0,
        "server_pagination": False,
        "show_cell_bars": chart.kind == "table",
        "color_pn": False,
        "align_pn": False,
        "allow_rearrange_columns": True,
    }


_KINDS: Final[Mapping[Kind, Callable[[Chart, Dataset, Style], tuple[str, Params]]]] = {
    "comparison": _comparison,
    "number": _total,
    "trend": _trend,
    "lines": _series("echarts_timeseries_line"),
    "areas": _series("echarts_area"),
    "bars": _series("echarts_timeseries_bar"),
    "funnel": _funnel,
    "donut": _donut,
    "heatmap": _heatmap,
    "map": _map,
    "table": _table,
    "rows": _rows,
}
