"""The filters at the side of a dashboard.

A filter reaches the charts whose mart has its column, and leaves the others alone, so that no chart
shows a filter that it does not obey. Its description names the charts, and a chart's the filters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from typing import Any, Final
from uuid import UUID

from serving.superset.chart_params import last_days
from serving.superset.definitions import Chart, Dashboard, Dataset, FilterName

COLUMNS: Final[dict[FilterName, tuple[str, str, str]]] = {
    "tenant": ("tenant_id", "Tenant", "Whose events."),
    "site": ("site_id", "Site", "The project site, by its id."),
    "channel": ("channel", "Channel", "Where a visit came from, or an advertisement ran."),
    "event_type": ("event_type", "Event type", "What happened."),
    "contract": ("contract", "Event type", "The contract of the events, one a topic."),
}
"""Filter: column, label, and what it means."""


def label_of(name: FilterName) -> str:
    """Return what a filter is called on a dashboard."""
    return "Dates" if name == "dates" else COLUMNS[name][1]


def hears(name: FilterName, chart: Chart, dataset: Dataset, columns: Container[str]) -> bool:
    """Tell whether a filter reaches a chart.

    Args:
        name: the filter.
        chart: the chart.
        dataset: what it is of.
        columns: those of the dataset.
    """
    if name == "dates":
        return chart.last is None and dataset.time is not None
    return COLUMNS[name][0] in columns


def native_filters(
    dashboard: Dashboard,
    hears: Callable[[FilterName, Chart], bool],
    uuid_of: Callable[[Chart], UUID],
    first_id: int,
) -> list[dict[str, Any]]:
    """Return ``native_filter_configuration``.

    ``hears`` tells whether a filter reaches a chart, ``uuid_of`` the identity of its dataset.
    """
    charts = list(dashboard.charts())
    found = []
    for name in dashboard.filters:
        reached = [chart for chart in charts if hears(name, chart)]
        deaf = [first_id + at for at, chart in enumerate(charts) if not hears(name, chart)]
        reach = _reach(charts, reached)
        if name == "dates":
            found.append(_dates(dashboard, reach, deaf))
        else:
            dataset = uuid_of(_offering(dashboard, name, reached))
            found.append(_values(dashboard, name, dataset, reach, deaf))
    return found


def _offering(dashboard: Dashboard, name: FilterName, reached: Sequence[Chart]) -> Chart:
    """Return a chart whose dataset gives the values to choose from.

    That of most of the charts, where the definition names none; never one of what is going on just
    now, which at a quiet hour has no value at all.
    """
    said = dashboard.offered.get(name)
    lasting = [chart for chart in reached if chart.last is None] or reached
    count = Counter(chart.of for chart in lasting)
    return max(lasting, key=lambda chart: (chart.of == said, count[chart.of]))


def _reach(charts: Sequence[Chart], reached: Sequence[Chart]) -> str:
    """Say which charts a filter reaches, in the shorter way."""
    others = [chart for chart in charts if chart not in reached]
    if not others:
        return "It reaches every chart."
    is_rare = len(reached) < len(others)
    titles = ", ".join(f"“{chart.title}”" for chart in (reached if is_rare else others))
    return f"It reaches {titles} and no other chart." if is_rare else f"It leaves alone {titles}."


def _dates(dashboard: Dashboard, reach: str, deaf: list[int]) -> dict[str, Any]:
    shown = last_days(dashboard.days)
    return {
        **_any(dashboard, "dates", f"UTC days. Live charts show their own time. {reach}", deaf),
        "filterType": "filter_time",
        "targets": [{}],
        "controlValues": {"enableEmptyFilter": False},
        "defaultDataMask": {
            "extraFormData": {"time_range": shown},
            "filterState": {"value": shown},
            "ownState": {},
        },
    }


def _values(
    dashboard: Dashboard, name: FilterName, dataset: UUID, reach: str, deaf: list[int]
) -> dict[str, Any]:
    column, _, meaning = COLUMNS[name]
    return {
        **_any(dashboard, name, f"{meaning} {reach}", deaf),
        "filterType": "filter_select",
        "targets": [{"column": {"name": column}, "datasetUuid": str(dataset)}],
        "controlValues": {
            "defaultToFirstItem": False,
            "enableEmptyFilter": False,
            "inverseSelection": False,
            "multiSelect": True,
            "searchAllOptions": True,
            "sortAscending": True,
        },
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
    }


def _any(dashboard: Dashboard, name: FilterName, meaning: str, deaf: list[int]) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{dashboard.exposure}-{name}",
        "name": label_of(name),
        "description": meaning,
        "type": "NATIVE_FILTER",
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": deaf},
    }
