"""Where each chart stands: Superset's tree of a dashboard, a grid of 12 columns."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from serving.superset.definitions import Dashboard

Tree = dict[str, Any]


def layout(dashboard: Dashboard, title: str, uuids: list[UUID], first_id: int) -> Tree:
    """Return ``position``: headings and rows of charts.

    ``uuids`` are those of the charts, in order. Their numbers, from ``first_id`` on, are made up:
    an import puts those of the Superset at hand in their place.
    """
    grid: list[str] = []
    tree: Tree = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
        "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": grid, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": title}},
    }
    parents = ["ROOT_ID", "GRID_ID"]
    number = 0
    for at, row in enumerate(dashboard.rows):
        if row.heading is not None:
            key = f"HEADER-{at}"
            grid.append(key)
            tree[key] = {
                "id": key,
                "type": "HEADER",
                "children": [],
                "parents": parents,
                "meta": {
                    "text": row.heading,
                    "headerSize": "MEDIUM_HEADER",
                    "background": "BACKGROUND_TRANSPARENT",
                },
            }
        key = f"ROW-{at}"
        grid.append(key)
        children = []
        for chart in row.charts:
            child = f"CHART-{number}"
            children.append(child)
            tree[child] = {
                "id": child,
                "type": "CHART",
                "children": [],
                "parents": [*parents, key],
                "meta": {
                    "chartId": first_id + number,
                    "uuid": str(uuids[number]),
                    "sliceName": chart.title,
                    "width": chart.width,
                    "height": row.height,
                },
            }
            number += 1
        tree[key] = {
            "id": key,
            "type": "ROW",
            "children": children,
            "parents": parents,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
    return tree
