"""What is expected of gold: amounts that can be, and a funnel that only narrows."""

from __future__ import annotations

from itertools import pairwise

from deltalake import DeltaTable

from expectations.suite import NewRows, Rule, Suite
from lake.duck import quote_name

MEASURES = ("_count", "_usd", "_ms", "_seconds", "_rate", "_share", "_percent")
"""A column that ends so is an amount, by the naming rules, and cannot be below zero."""

KEYS = ("_id", "_date", "_at", "_start")

STEPS = {
    "fct_funnel": (
        ("visit_count", "signup_count", "wallet_connect_count", "purchase_count"),
        ("visit_count", "visitor_count", "loose_signup_count"),
    ),
    "fct_funnel_cohort": (
        ("visitor_count", "signup_count", "wallet_connect_count", "purchase_count"),
        ("visitor_count", "loose_signup_count"),
    ),
}
"""Model -> columns each of which counts some of what the one before it counts."""


def gold_suite(name: str, table: DeltaTable) -> Suite | None:
    """Return what is expected of the new rows of any gold table; None when it has no measure."""
    fields = [field.name for field in table.schema().fields]
    measures = [field for field in fields if field.endswith(MEASURES)]
    if not measures:
        return None
    keys = tuple(field for field in fields if field not in measures and field.endswith(KEYS))
    batch = {key: f"{quote_name(key)}::varchar" for key in keys}
    batch |= {measure: f"{quote_name(measure)}::double" for measure in measures}
    rules = [
        Rule(
            f"{measure} is not negative",
            "ExpectColumnValuesToBeBetween",
            {"column": measure, "min_value": 0},
            "block",
            "an amount below zero cannot be: the model, or a rule of silver, is wrong",
        )
        for measure in measures
    ]
    for steps in STEPS.get(name, ()):
        rules += [
            Rule(
                f"{narrower} is at most {wider}",
                "ExpectColumnPairValuesAToBeGreaterThanB",
                {"column_A": wider, "column_B": narrower, "or_equal": True},
                "block",
                "a step of the funnel counts visits that did not take the step before",
            )
            for wider, narrower in pairwise(steps)
            if {wider, narrower} <= set(fields)
        ]
    return Suite(f"gold.{name}", "gold", name, NewRows(batch), tuple(rules), keys)
