"""Which buckets of a model a changed day of an upstream touches."""

from __future__ import annotations

import pytest

from lake.dbt_plugin import _reaches
from lake.delta_log import Changes, DataFile
from lake.errors import BuildError
from lake.increments import Pinned, Plan, Reach
from lake.tables import Lake

SALES = "silver.stg_conversions"
OWN = Pinned(Lake("nowhere"), "gold", "rpt_week", None)


def touched(reaches: dict[str, Reach]) -> list[int]:
    """Return the days of March that the tenant's bucket of 10 March touches."""
    changes = {SALES: Changes(added=(DataFile("a.parquet", ("acme", "2026-03-10")),))}
    plan = Plan("increment", "", OWN, (), changes, reaches=reaches)
    return sorted(day.day for _, day in plan.buckets())


def test_a_day_touches_itself_and_as_many_days_around_it_as_the_model_says() -> None:
    assert touched({}) == [10]
    assert touched({SALES: Reach(days_after=2)}) == [10, 11, 12]
    assert touched({SALES: Reach(days_before=1)}) == [9, 10]
    assert touched({"silver.other": Reach(days_before=5)}) == [10]


def test_a_model_that_names_an_upstream_it_does_not_read_is_told_so() -> None:
    request = {"upstreams": [SALES], "touches": {"silver.stg_conversion": {"days_after": 6}}}
    with pytest.raises(BuildError, match="stg_conversion, which it does not read"):
        _reaches("gold.rpt_week", request)
    with pytest.raises(BuildError, match="days_after"):
        _reaches("gold.rpt_week", {"upstreams": [SALES], "touches": {SALES: {"days": 6}}})
