"""That a model's totals are those of the silver events it is made of, tenant by tenant.

The events are read at the version that the model says it has processed, so that a build under way
raises no false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass

from expectations.reconciliation import NotComparableError, processed_version, zero
from expectations.suite import Aggregate, Suite, TableRef
from lake.duck import quote_name
from lake.tables import Lake


@dataclass(frozen=True, slots=True)
class Total:
    """One number that a model and an event table must agree on."""

    column: str
    """Of the model; its sum is compared."""
    events: str
    """The silver table of the events."""
    expected: str
    """SQL of the total over the events of a tenant."""
    why: str
    """What a difference means."""


CLOCK = "not is_date_clamped"
TOTALS: dict[TableRef, tuple[Total, ...]] = {
    ("silver", "int_sessions"): (
        Total(
            "event_count",
            "stg_clickstream",
            f"count(*) filter ({CLOCK})",
            "an event is in no session, or in two",
        ),
    ),
    ("silver", "int_identity"): (
        Total(
            "revenue_usd",
            "stg_conversions",
            "sum(amount_usd) filter (is_purchase)",
            "a user is shown with more or less than was paid",
        ),
    ),
    ("gold", "fct_funnel"): (
        Total(
            "visit_count",
            "stg_clickstream",
            f"count(distinct (event_date, session_id)) filter ({CLOCK})",
            "a visit is missing from the funnel, or counted twice",
        ),
    ),
    ("gold", "fct_events_by_channel"): (
        Total(
            "event_count",
            "stg_app_events",
            "count(*)",
            "a product event is missing from gold, or counted twice",
        ),
    ),
    ("gold", "fct_activity_heatmap"): (
        Total(
            "event_count",
            "stg_app_events",
            "count(*)",
            "a product event is missing from the heatmap, or counted twice",
        ),
    ),
    ("gold", "fct_conversations"): (
        Total(
            "event_count",
            "stg_app_events",
            f"count(*) filter (conversation_id is not null and {CLOCK})",
            "an event is in no conversation, or in two",
        ),
    ),
    ("gold", "fct_revenue_daily"): (
        Total(
            "gross_usd",
            "stg_conversions",
            "sum(amount_usd) filter (is_purchase)",
            "gold shows more or less revenue than was paid",
        ),
        Total(
            "purchase_count",
            "stg_conversions",
            "count(*) filter (is_purchase)",
            "a purchase is missing from gold, or counted twice",
        ),
    ),
    ("gold", "fct_revenue_by_site"): (
        Total(
            "gross_usd",
            "stg_conversions",
            "sum(amount_usd) filter (is_purchase)",
            "a site shows more or less revenue than was paid",
        ),
    ),
    ("gold", "fct_registrations_daily"): (
        Total(
            "registration_count",
            "stg_registrations",
            "count(*)",
            "a registration is missing from gold, or counted twice",
        ),
    ),
    ("gold", "fct_page_performance"): (
        Total(
            "page_view_count",
            "stg_clickstream",
            "count(*) filter (event_type = 'page_view')",
            "a page view is missing from gold, or counted twice",
        ),
    ),
    ("gold", "fct_campaign_daily"): (
        Total(
            "spend_usd",
            "stg_ad_events",
            "sum(cost_usd)",
            "gold shows more or less spend than the advertising events cost",
        ),
        Total(
            "click_count",
            "stg_ad_events",
            "count(*) filter (event_type = 'click')",
            "a click is missing from the campaigns, or counted twice",
        ),
    ),
    ("gold", "fct_metrics_60m"): (
        Total(
            "event_count",
            "stg_clickstream",
            "count(*)",
            "an event is missing from the hourly metrics, or counted twice",
        ),
        Total(
            "registration_count",
            "stg_registrations",
            "count(*)",
            "a registration is missing from the hourly metrics, or counted twice",
        ),
        Total(
            "conversion_count",
            "stg_conversions",
            "count(*)",
            "a conversion is missing from the hourly metrics, or counted twice",
        ),
        Total(
            "revenue_usd",
            "stg_conversions",
            "sum(amount_usd) filter (is_purchase)",
            "the hourly metrics show more or less revenue than was paid",
        ),
    ),
}
"""Model -> what must agree. A model that is not here has no total that silver also has."""


def totals_suite(lake: Lake, model: TableRef) -> Suite:
    """Return the totals of ``model`` and of its events, and that they are equal.

    Raises:
        NotComparableError: the model has not read its events yet, or they are not there.
    """
    layer, name = model
    totals = TOTALS[model]
    versions: dict[TableRef, int] = {}
    for events in dict.fromkeys(total.events for total in totals):
        if not lake.exists("silver", events):
            raise NotComparableError(f"there is no table silver.{events}")
        ref: TableRef = ("silver", events)
        versions[ref] = processed_version(lake, ref, lake.open(*ref), (model,))
    sums = ", ".join(f"sum({quote_name(t.column)}) as {quote_name(t.column)}" for t in totals)
    ctes = [f"model as (select tenant_id, {sums} from {{{layer}.{name}}} group by all)"]
    columns, joins = [], []
    for number, total in enumerate(totals):
        source = f"events_{number}"
        ctes.append(
            f"{source} as (select tenant_id, {total.expected} as total "
            f"from {{silver.{total.events}}} group by all)"
        )
        joins.append(f"left join {source} using (tenant_id)")
        in_model = f"coalesce(model.{quote_name(total.column)}, 0)"
        in_events = f"coalesce({source}.total, 0)"
        columns += [
            f"{in_events}::double as {quote_name(total.column + '_in_events')}",
            f"{in_model}::double as {quote_name(total.column)}",
            f"({in_model} - {in_events})::double as {quote_name(total.column + '_difference')}",
        ]
    tenants = " union ".join(
        f"select tenant_id from {source}"
        for source in ["model", *(f"events_{number}" for number in range(len(totals)))]
    )
    sql = (
        f"with {', '.join(ctes)}, tenants as ({tenants}) "
        f"select tenant_id, {', '.join(columns)} from tenants "
        f"left join model using (tenant_id) {' '.join(joins)} order by tenant_id"
    )
    rules = tuple(
        zero(
            f"{total.column}_difference",
            f"{total.column} adds up to what silver.{total.events} holds",
            total.why,
        )
        for total in totals
    )
    shown = [key for t in totals for key in (f"{t.column}_in_events", t.column)]
    return Suite(
        name=f"{layer}.{name}.totals",
        layer=layer,
        table=name,
        batch=Aggregate(sql, (*versions, model), versions),
        rules=rules,
        keys=("tenant_id", *shown),
    )
