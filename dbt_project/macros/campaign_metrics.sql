{# What advertisements did and cost, by campaign and the channel they ran in: the one text of
   fct_campaign_1m and, without minutes, of fct_campaign_daily. A ratio of nothing is null. #}
{% macro campaign_metrics(date_name, minutes=none) -%}
with ad_events as (
    select
        tenant_id,
        event_date,
        {{ window_start(minutes or 1440) }} as window_start,
        campaign_id,
        channel,
        event_type,
        cost_usd
    from {{ ref('stg_ad_events') }}
    where {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date as {{ date_name }},
        {%- if minutes %}
        window_start,
        {%- endif %}
        campaign_id,
        channel,
        count(*) filter (where event_type = 'impression') as impression_count,
        count(*) filter (where event_type = 'click') as click_count,
        count(*) filter (where event_type = 'conversion') as conversion_count,
        cast(coalesce(sum(cost_usd), 0) as decimal(18, 4)) as spend_usd,
        {{ share_of('click_count', 'impression_count') }} as ctr,
        {{ cost_each('spend_usd', 'click_count') }} as cpc_usd,
        {{ cost_each('spend_usd', 'conversion_count') }} as cpa_usd,
        {{ share_of('conversion_count', 'click_count') }} as conversion_rate
    from ad_events
    {%- if minutes and is_live() %}
    where {{ in_windows() }}
    {%- endif %}
    group by all
)

select * from final
{%- endmacro %}

{# Spend divided by a count, rounded half up to a hundredth of a cent, in whole numbers: DuckDB
   divides decimals as doubles. Null for a count of 0. #}
{% macro cost_each(spend, count) -%}
    cast(
            cast(
                (2 * cast({{ spend }} * 10000 as hugeint) + {{ count }}) // nullif(2 * {{ count }}, 0)
                as decimal(14, 0)
            ) * 0.0001 as decimal(18, 4)
        )
{%- endmacro %}
