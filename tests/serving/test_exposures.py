"""Every dashboard is an exposure of dbt's project that names the marts it reads.

Those of Superset are held to it by ``serving/superset/check.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import serving.watch.reading
from lake.dbt_run import PROJECT
from serving.dashboard.pages import PAGES

EXPOSURES = yaml.safe_load((PROJECT / "models" / "exposures.yml").read_text())["exposures"]
NAMED = {
    one["name"]: {reference.split("'")[1] for reference in one["depends_on"]} for one in EXPOSURES
}


def test_the_dashboard_in_the_browser_names_the_marts_of_its_panels() -> None:
    read = set()
    for page in PAGES:
        read |= {page.newest[0], *(option.mart for option in page.options)}
        for panel in page.panels:
            read |= {panel.mart.table or panel.mart.name, *panel.also_reads}
            read |= set(re.findall(r"gold\.\w+", panel.sql))
    assert NAMED["browser"] == {name.removeprefix("gold.") for name in read if "gold." in name}


def test_what_grafana_shows_names_the_marts_that_are_added_up_for_it() -> None:
    text = Path(str(serving.watch.reading.__file__)).read_text()
    assert NAMED["grafana"] == set(re.findall(r'"((?:fct|rpt|dim|current)_\w+)"', text))
