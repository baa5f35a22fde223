"""The filters at the side of a dashboard.

A filter reaches the charts whose mart has its column, and leaves the others alone, so that no chart
shows a filter that it does not obey.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from serving.superset.chart_params import last_days
from serving.superset.definitions import Chart, Dashboard, FilterName

COLUMNS: Final[dict[FilterName, tuple[str, str, str]]] = {
    "tenant": ("tenant_id", "Tenant", "Whose events."),
    "site": ("site_id", "Site", "The project site, by its id."),
    "channel": ("channel", "Channel", "Where a visit came from, or an advertisement ran."),
    "event_type": ("event_type", "Event type", "What happened."),
    "contract": ("contract", "Event type", "The contract of the events, one a topic."),
}
"""Filter: column, label, and what it means."""


def native_filters(
    dashboard: Dashboard,
    columns_of: Callable[[Chart], set[str]],
    uuid_of: Callable[[Chart], UUID],
    first_id: int,
) -> list[dict[str, Any]]:
    """Return ``native_filter_configuration``.

    ``columns_of`` gives the columns of a chart's dataset, ``uuid_of`` the dataset's identity.
    """
    charts = list(dashboard.charts())
    found = []
    for name in dashboard.filters:
        if name == "dates":
            deaf = [first_id + at for at, chart in enumerate(charts) if chart.last is not None]
            found.append(_dates(dashboard, deaf))
            continue
        column = COLUMNS[name][0]
        hears = [column in columns_of(chart) for chart in charts]
        source = next(chart for chart, yes in zip(charts, hears, strict=True) if yes)
        deaf = [first_id + at for at, yes in enumerate(hears) if not yes]
        found.append(_values(dashboard, name, uuid_of(source), deaf))
    return found


def _dates(dashboard: Dashboard, deaf: list[int]) -> dict[str, Any]:
    shown = last_days(dashboard.days)
    return {
        **_any(dashboard, "dates", "Dates", "UTC days. Live charts show their own time.", deaf),
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
    dashboard: Dashboard, name: FilterName, dataset: UUID, deaf: list[int]
) -> dict[str, Any]:
    column, label, meaning = COLUMNS[name]
    return {
        **_any(dashboard, name, label, meaning, deaf),
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


def _any(
    dashboard: Dashboard, name: str, label: str, meaning: str, deaf: list[int]
) -> dict[str, Any]:
    return {
        "id": f"NATIVE_FILTER-{dashboard.exposure}-{name}",
        "name": label,
        "description": meaning,
        "type": "NATIVE_FILTER",
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": deaf},
    }
