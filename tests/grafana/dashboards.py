"""The dashboards as they are provisioned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[2] / "docker/grafana"
DASHBOARDS: Final = sorted((FOLDER / "dashboards").glob("*.json"))


def panels(path: Path) -> list[dict[str, Any]]:
    """Return the panels of a dashboard that show something; rows do not."""
    return [panel for panel in json.loads(path.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> set[str]:
    """Return what the panels of all dashboards ask Prometheus."""
    return {
        target["expr"] for path in DASHBOARDS for one in panels(path) for target in one["targets"]
    }
