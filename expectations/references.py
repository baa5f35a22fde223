"""That what a row names is there: exposures their experiments, visits their sessions, users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from expectations.suite import Aggregate, Rule, Suite, TableRef
from lake.duck import quote_text

EVENTS = "stg_app_events"
EXPERIMENTS = "experiments"
LOOK_BACK_DAYS = 14
KNOWN_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows of one table that name, by their tenant and a column, rows of another."""

    table: TableRef
    date: str
    """The table's column that bounds which rows are looked at."""
    names: str
    """The column that names the other; null names nothing."""
    other: TableRef
    by: str
    """The column of the other table that is named."""
    rule: str
    why: str
    """What it means when the other has no such row."""
    known_share: float = 1.0
    """The smallest share of a tenant's rows that is no cause for worry."""
    where: str = "true"
    """Which rows of the table are meant."""
    other_date: str | None = None
    """The other table's column that bounds which of its rows are read: twice as many days."""


REFERENCES = (
    Reference(
        ("silver", "int_touches"),
        "touch_date",
        "session_id",
        ("silver", "int_sessions"),
        "session_id",
        "a visit that is given credit is a session",
        "revenue is attributed to a visit that no mart of sessions shows",
        other_date="session_date",
    ),
    Reference(
        ("silver", "stg_conversions"),
        "event_date",
        "session_id",
        ("silver", "int_sessions"),
        "session_id",
        f"at least {KNOWN_SHARE:.0%} of conversions are of a session",
        "pages do not report, or another session_id than the conversions: what was bought counts "
        "for no visit in fct_sessions and for no channel of a visit",
        known_share=KNOWN_SHARE,
        # who sends no page events at all sells elsewhere
        where="not is_date_clamped and tenant_id in (select tenant_id from known)",
        other_date="session_date",
    ),
    Reference(
        ("gold", "fct_sessions"),
        "session_date",
        "user_id",
        ("gold", "dim_users"),
        "user_id",
        "the user of a session is in dim_users",
        "sessions cannot be told by what is known of their users",
    ),
)


def reference_suite(reference: Reference, today: str) -> Suite:
    """Return what is expected of the references of the last complete days.

    The running day is left out: what it names may be on its way, or be built a moment later.

    Args:
        reference: from where to where.
        today: the running UTC day, ``YYYY-MM-DD``.
    """
    (layer, table), (other_layer, other) = reference.table, reference.other
    day = f"date {quote_text(today)}"
    since = f"{reference.other_date} >= {day} - {2 * LOOK_BACK_DAYS}"
    sql = f"""
        with known as (
            select tenant_id, {reference.by} as named
            from {{{other_layer}.{other}}}
            where {since if reference.other_date else "true"}
        ),
        named as (
            select tenant_id, {reference.names} as named, count(*) as row_count
            from {{{layer}.{table}}}
            where {reference.names} is not null
                and {reference.date} < {day}
                and {reference.date} >= {day} - {LOOK_BACK_DAYS}
                and {reference.where}
            group by all
        ),
        missing as (
            select * from named anti join known using (tenant_id, named)
        ),
        counted as (
            select tenant_id, sum(row_count)::double as row_count from named group by all
        ),
        lost as (
            select
                tenant_id,
                sum(row_count)::double as missing_count,
                min(named) as for_example
            from missing
            group by all
        )
        select
            tenant_id,
            row_count::bigint as row_count,
            coalesce(missing_count, 0)::bigint as missing_count,
            for_example,
            1 - coalesce(missing_count, 0) / row_count as known_share
        from counted
        left join lost using (tenant_id)
        order by tenant_id
    """
    rule = Rule(
        reference.rule,
        "ExpectColumnValuesToBeBetween",
        {"column": "known_share", "min_value": reference.known_share},
        "warn",
        reference.why,
    )
    return Suite(
        name=f"{layer}.{table}.{reference.names}",
        layer=layer,
        table=table,
        batch=Aggregate(sql, (reference.table, reference.other)),
        rules=(rule,),
        keys=("tenant_id", "row_count", "missing_count", "for_example"),
    )


def references_among(there: dict[str, list[str]]) -> Sequence[Reference]:
    """Return those whose tables are both in the lake; ``there`` has each layer's tables."""
    return [
        one
        for one in REFERENCES
        if all(name in there[layer] for layer, name in (one.table, one.other))
    ]


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
