{{
    config(
        incremental_strategy='insert_new',
        unique_key=['tenant_id', 'event_id'],
        partition_by=['tenant_id', 'event_date'],
    )
}}

{%- set valid %}
    select
        *,
        {{ event_clocks() }}
    from {{ new_rows(source('bronze', 'clickstream')) }}
    where {{ rejection_reason('clickstream') }} is null
{%- endset %}

with sites as (
    select * from {{ ref('sites') }}
),

first_of_each as (
    {{ first_of_each(valid, ['tenant_id', 'event_id']) }}
),

hosts as (
    select
        *,
        {{ host_of('referrer') }} as referrer_host,
        {{ host_of('page_url') }} as page_host
    from first_of_each
    where {{ in_scope('event_date') }}
),

final as (
    select
        e.tenant_id,
        e.event_id,
        e.session_id,
        e.user_id,
        e.occurred_at,
        e.event_at,
        e.event_date,
        e.event_type,
        e.page_type,
        e.page_url,
        e.referrer,
        e.country,
        e.device_type,
        e.browser,
        e.page_load_time * 1000 as page_load_ms,
        e.scroll_depth as scroll_depth_percent,
        try_cast(json_extract_string(e._rescued, '$.status') as integer) as http_status,
        e.site_id,
        sites.category as site_category,
        sites.token_symbol as site_token_symbol,
        e.ip,
        e.experiment,
        e.variant,
        e.utm_source,
        e.utm_medium,
        e.utm_campaign,
        {{ traffic_channel() }} as channel,
        e.is_late,
        e.is_future,
        e.is_date_clamped,
        e._rescued,
        {{ trace_columns() }}
    from hosts as e
    left join sites
        on e.tenant_id = sites.tenant_id
        and e.site_id = sites.site_id
)

select * from final
