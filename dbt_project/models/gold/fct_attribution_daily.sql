{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'attribution_date'],
        meta={'reads': 'rows'},
    )
}}

{%- set days = var('attribution_lookback_days') %}
{%- set lookback = "interval '" ~ days ~ " days'" %}

{#- From when on a touch counts is said of the purchase: of each touch how long it counts would be
    asked of a calendar millions of times. -#}
{%- set bought_columns = "*, event_at - " ~ lookback ~ " as touched_since" %}

{#- A new touch changes the days on which the user, or the visit, bought within the lookback. -#}
{%- set new_touches_sql %}
    select * from {{ new_rows(ref('int_touches')) }}
{%- endset %}
{%- set new_touches = stage_rows('new_touches', new_touches_sql) if is_incremental() else '' %}
{%- set reached_sql %}
    select distinct tenant_id, cast(touch_date + cast(n as integer) as date)
    from {{ new_touches }}, generate_series(0, {{ days }}) as later (n)
{%- endset %}
{%- set reached = in_buckets_of(reached_sql, 'event_date') if is_incremental() else '' %}
{%- set touched_sql %}
    with bought as (
        select {{ bought_columns }} from {{ ref('stg_conversions') }}
        where is_purchase and {{ reached }}
    )

    select tenant_id, event_date from {{ new_rows(ref('stg_conversions')) }}
    where is_purchase
    union
    select bought.tenant_id, bought.event_date
    from bought
    inner join {{ new_touches }} as touched
        on bought.tenant_id = touched.tenant_id
        and bought.user_id = touched.user_id
        and touched.touched_at between bought.touched_since and bought.event_at
    union
    select bought.tenant_id, bought.event_date
    from bought
    inner join {{ new_touches }} as touched
        on bought.tenant_id = touched.tenant_id
        and bought.session_id = touched.session_id
        and touched.touched_at between bought.touched_since and bought.event_at
{%- endset %}
{%- if is_incremental() %}
    {%- set touched = stage_rows('touched', touched_sql) %}
    {%- do replaces_buckets('from ' ~ touched) %}
    {%- set led_up_sql %}
        select distinct tenant_id, cast(event_date - cast(n as integer) as date)
        from {{ touched }}, generate_series(0, {{ days }}) as earlier (n)
    {%- endset %}
{%- endif %}
{%- set scope = in_buckets_of('from ' ~ touched, 'event_date') if is_incremental() else none %}
{%- set lookback_scope = in_buckets_of(led_up_sql, 'touch_date') if is_incremental() else none %}

with purchases as (
    select {{ bought_columns }} from {{ ref('stg_conversions') }}
    where is_purchase and {{ scope or in_scope('event_date') }}
),

touches as (
    select * from {{ ref('int_touches') }}
    where {{ lookback_scope or in_scope('touch_date', days_before=days) }}
),

-- By the user, and by the visit in which was bought: its first page may have been seen before the
-- user signed in. `union` keeps a touch once that is found both ways.
led_to as (
    {%- for key in ('user_id', 'session_id') %}
    select
        purchases.tenant_id,
        purchases.conversion_id,
        touches.touched_at,
        touches.touch_source,
        touches.event_id,
        coalesce(touches.campaign_id, 'none') as campaign_id,
        touches.channel
    from purchases
    inner join touches
        on purchases.tenant_id = touches.tenant_id
        and purchases.{{ key }} = touches.{{ key }}
        and touches.touched_at between purchases.touched_since and purchases.event_at
    where not purchases.is_date_clamped
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),

credited as (
    {%- for model, pick in (('first_touch', 'arg_min'), ('last_touch', 'arg_max')) %}
    select
        '{{ model }}' as attribution_model,
        tenant_id,
        conversion_id,
        {{ pick }}(campaign_id, (touched_at, touch_source, event_id)) as campaign_id,
        {{ pick }}(channel, (touched_at, touch_source, event_id)) as channel
    from led_to
    group by tenant_id, conversion_id
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

models as (
    select unnest(['first_touch', 'last_touch']) as attribution_model
),

final as (
    select
        purchases.tenant_id,
        purchases.event_date as attribution_date,
        models.attribution_model,
        coalesce(credited.campaign_id, 'none') as campaign_id,
        coalesce(credited.channel, 'unattributed') as channel,
        {{ purchase_count() }} as purchase_count,
        {{ payer_count() }} as payer_count,
        {{ revenue_usd() }} as revenue_usd
    from purchases
    cross join models
    left join credited using (attribution_model, tenant_id, conversion_id)
    group by all
)

select * from final
