"""The statistics of experiments in SQL, held against Python, SciPy and statsmodels."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from scipy import stats
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    proportion_confint,
    proportions_ztest,
)

from ingest.experiments import assign, draw
from lake.duck import connect
from lake.tables import Lake

WEIGHTS = {"control": 5, "b'quote": 3, "ü": 2, "nobody": 0}
INLINE = """
select
    {{ assignment_draw('experiment_id', 'user_id') }} as draw,
    {{ assigned_variant('experiment_id', 'user_id', %s) }} as variant,
    {{ normal_upper_tail('x') }} as normal,
    {{ chi_square_upper_tail('x', 'degrees') }} as chi_square
from probes
"""

COUNTS = {
    "acme": ((500, 50), (520, 81)),
    "even": ((200, 20), (200, 20)),
    "few": ((3, 0), (4, 2)),
    "never": ((40, 0), (35, 0)),
    "skewed": ((300, 30), (420, 50)),
}
"""Tenant -> (exposed, converted) of control and of the other variant."""


def random_text(chance: random.Random) -> str:
    """Return up to 12 code points from all of Unicode but the surrogates, which are no text."""
    points = (chance.randrange(0x110000) for _ in range(chance.randrange(13)))
    return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)


@pytest.fixture(scope="module")
def probes(make_lake: Any) -> list[dict[str, Any]]:
    """The macros over random users and a grid of arguments, as dbt compiles them."""
    chance = random.Random(5)
    asked = [
        {
            "experiment_id": chance.choice(["hero", "A.b-c_9"]),
            "user_id": random_text(chance),
            "x": chance.choice([0.0, 1e-9, 7.0710678118654, 7.08, chance.uniform(0, 37)]),
            "degrees": chance.randrange(1, 12),
        }
        for _ in range(3_000)
    ]
    result = make_lake().dbt("compile", "--inline", INLINE % WEIGHTS)
    assert result.succeeded
    [sql] = (result.target_path / "compiled").rglob("inline_query*")
    with connect(Lake("nowhere")) as connection:
        connection.register("probes", pa.Table.from_pylist(asked))
        found = connection.execute(sql.read_text()).to_arrow_table().to_pylist()
    return [{**a, **f} for a, f in zip(asked, found, strict=True)]


def test_assignment_in_sql_and_in_python_is_equal_to_the_bit(probes: list[dict[str, Any]]) -> None:
    for row in probes:
        assert row["draw"] == draw(row["experiment_id"], row["user_id"])
        assert row["variant"] == assign(row["experiment_id"], row["user_id"], WEIGHTS)


def test_the_tails_are_those_of_scipy(probes: list[dict[str, Any]]) -> None:
    """The relative errors that docs/concepts/experiments.md states, also for tiny p-values."""
    for row in probes:
        assert row["normal"] == pytest.approx(stats.norm.sf(row["x"]), rel=NORMAL_ERROR, abs=0)
        chi_square = stats.chi2.sf(row["x"], row["degrees"])
        assert row["chi_square"] == pytest.approx(chi_square, rel=CHI_SQUARE_ERROR, abs=0)


NORMAL_ERROR = 1e-8
CHI_SQUARE_ERROR = 2e-9


@pytest.fixture(scope="module")
def experiments(make_lake: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """The mart over exposures and goals with the counts above, by tenant and variant."""
    lake = make_lake()
    rows = []
    for tenant, variants in COUNTS.items():
        for variant, (exposed, converted) in zip(("control", "checklist"), variants, strict=True):
            shown = {"experiment_id": "onboarding_checklist", "variant": variant}
            for number in range(exposed):
                event = {
                    "tenant_id": tenant,
                    "event_id": f"{variant}{number}",
                    "user_id": f"{variant}{number}",
                    "event_type": "experiment_exposure",
                    "properties": json.dumps(shown),
                    "occurred_at": lake.now,
                }
                rows.append(event)
                if number < converted:
                    goal = {"event_id": f"g{variant}{number}", "event_type": "checklist_completed"}
                    rows.append({**event, **goal, "occurred_at": lake.now + timedelta(minutes=1)})
    lake.add("app_events", rows)
    lake.build("--select", "sites", "experiments", "stg_app_events", "stg_conversions",
               "int_experiment_events", "fct_experiments")  # fmt: skip
    columns = [
        "tenant_id", "variant", "conversion_rate_low", "conversion_rate_high", "uplift",
        "relative_uplift", "uplift_low", "uplift_high", "z_score", "p_value", "srm_chi_square",
        "srm_p_value", "has_sample_ratio_mismatch",
    ]  # fmt: skip
    found = lake.select(f"select {', '.join(columns)} from {{gold.fct_experiments}}")
    return {row[:2]: dict(zip(columns, row, strict=True)) for row in found}


@pytest.mark.parametrize("tenant", COUNTS)
def test_an_experiment_is_judged_as_statsmodels_and_scipy_judge_it(
    experiments: dict[tuple[str, str], dict[str, Any]], tenant: str
) -> None:
    (n0, x0), (n1, x1) = COUNTS[tenant]
    row = experiments[tenant, "checklist"]
    close = {"rel": 1e-12, "abs": 1e-15}
    assert row["uplift"] == pytest.approx(x1 / n1 - x0 / n0, **close)
    wilson = proportion_confint(x1, n1, method="wilson")
    assert (row["conversion_rate_low"], row["conversion_rate_high"]) == pytest.approx(
        wilson, **close
    )
    newcombe = confint_proportions_2indep(x1, n1, x0, n0, method="newcomb")
    assert (row["uplift_low"], row["uplift_high"]) == pytest.approx(newcombe, **close)
    if x0 + x1 == 0:
        assert row["z_score"] is None
        assert row["p_value"] is None
        assert row["relative_uplift"] is None
    else:
        z, p = proportions_ztest([x1, x0], [n1, n0])
        assert row["z_score"] == pytest.approx(z, **close)
        assert row["p_value"] == pytest.approx(p, rel=NORMAL_ERROR)
    chi_square, p = stats.chisquare([n0, n1])
    assert row["srm_chi_square"] == pytest.approx(chi_square, rel=1e-9, abs=1e-9)
    assert row["srm_p_value"] == pytest.approx(p, rel=1e-6)
    assert row["has_sample_ratio_mismatch"] is (tenant == "skewed")
    assert experiments[tenant, "control"]["p_value"] is None
