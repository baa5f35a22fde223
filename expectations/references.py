"""That what an event refers to is there: exposures name experiments and variants of the seed."""

from __future__ import annotations

from expectations.suite import Aggregate, Rule, Suite, TableRef
from lake.duck import quote_text

EVENTS = "stg_app_events"
EXPERIMENTS = "experiments"
LOOK_BACK_DAYS = 14


def exposure_suite(today: str) -> Suite:
    """Return what is expected of the exposures of the last days.

    Args:
        today: the running UTC day, ``YYYY-MM-DD``.
    """
    sql = f"""
        with shown as (
            select
                tenant_id,
                coalesce(json_extract_string(properties, '$.experiment_id'), '(none)')
                    as experiment_id,
                coalesce(json_extract_string(properties, '$.variant'), '(none)') as variant,
                count(*) as exposures,
                count(*) filter (user_id is null) as without_user
            from {{silver.{EVENTS}}}
            where event_type = 'experiment_exposure'
                and event_date >= date {quote_text(today)} - {LOOK_BACK_DAYS}
            group by all
        )
        select
            shown.*,
            case
                when exists (
                    from {{silver.{EXPERIMENTS}}} as known
                    where known.experiment_id = shown.experiment_id
                        and known.variant = shown.variant
                        and known.tenant_id in ('*', shown.tenant_id)
                ) then 'known'
            end as in_seed
        from shown
        order by tenant_id, experiment_id, variant
    """
    reads: tuple[TableRef, ...] = (("silver", EVENTS), ("silver", EXPERIMENTS))
    rules = (
        Rule(
            "an exposure names an experiment and a variant of the seed",
            "ExpectColumnValuesToNotBeNull",
            {"column": "in_seed"},
            "warn",
            "fct_experiments does not count these exposures: the seed `experiments` lacks a line, "
            "or a product sends another name",
        ),
    )
    return Suite(
        name=f"silver.{EVENTS}.exposures",
        layer="silver",
        table=EVENTS,
        batch=Aggregate(sql, reads),
        rules=rules,
        keys=("tenant_id", "experiment_id", "variant", "exposures"),
    )
