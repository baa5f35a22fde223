"""The charts of a running Superset, asked as a browser asks: by its API, and past every cache."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from serving.superset.api import SupersetApi

AT_ONCE: Final = 6
"""So many requests to one host a browser has under way."""


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """One chart of a dashboard, and what its plugin asks."""

    dashboard: str
    title: str
    context: Any = field(compare=False)


@dataclass(frozen=True, slots=True)
class ChartAnswer:
    """What came back, and after how long."""

    seconds: float
    """From the request to the last byte of the answer."""
    rows: int
    sql: str


def chart_queries(api: SupersetApi) -> Iterator[ChartQuery]:
    """Yield the charts of every dashboard."""
    for dashboard in list(api.every("dashboard/", columns=["id", "dashboard_title"])):
        for chart in api.get(f"dashboard/{dashboard['id']}/charts")["result"]:
            told = api.get(f"chart/{chart['id']}")["result"]
            context = json.loads(told["query_context"])
            yield ChartQuery(str(dashboard["dashboard_title"]), str(told["slice_name"]), context)


def ask(api: SupersetApi, chart: ChartQuery, now: datetime) -> ChartAnswer:
    """Ask for the data of a chart as if it were ``now``.

    Raises:
        SupersetAnswerError: Superset refuses.
        RuntimeError: a query failed.
    """
    body = {**_at(chart.context, now), "force": True}
    began = time.perf_counter()
    results = api.post("chart/data", body)["result"]
    seconds = time.perf_counter() - began
    for result in results:
        if result["error"] is not None:
            raise RuntimeError(f"{chart.dashboard}, {chart.title}: {result['error']}")
    rows = sum(len(result["data"]) for result in results)
    return ChartAnswer(seconds, rows, ";\n".join(str(result["query"]) for result in results))


def open_dashboard(
    api: Callable[[], SupersetApi], charts: list[ChartQuery], now: datetime
) -> float:
    """Ask for all charts as a browser does, and return after how many seconds the last was there.

    ``api`` makes a session, one for each connection.
    """
    sessions = [api() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.perf_counter()
        for _ in pool.map(
            lambda numbered: ask(sessions[numbered[0] % AT_ONCE], numbered[1], now),
            enumerate(charts),
        ):
            pass
        return time.perf_counter() - began


def _at(value: Any, now: datetime) -> Any:
    """Return a query context with ``now`` in place of Superset's own clock."""
    if isinstance(value, dict):
        return {key: _at(one, now) for key, one in value.items()}
    if isinstance(value, list):
        return [_at(one, now) for one in value]
    if not isinstance(value, str):
        return value
    moment = now.strftime("%Y-%m-%dT%H:%M:%S")
    text = value.replace('DATETIME("today")', f'DATETIME("{now.date()}")')
    text = text.replace('DATETIME("now")', f'DATETIME("{moment}")')
    return text.replace(" : now", f" : {moment}")
