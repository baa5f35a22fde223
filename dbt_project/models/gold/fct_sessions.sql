{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'session_date'],
        meta={'touches': {'silver.stg_conversions': {'days_before': 1}}},
    )
}}

{%- set gap = "interval '" ~ var('session_gap_minutes') ~ " minutes'" %}

with sessions as (
    select * from {{ ref('int_sessions') }}
    where {{ in_scope('session_date') }}
),

conversions as (
    select * from {{ ref('stg_conversions') }}
    where not is_date_clamped and {{ in_scope('event_date', days_after=1) }}
),

-- Two sessions of a visit are further apart than the gap, so a conversion is in one at most.
converted as (
    select
        sessions.tenant_id,
        sessions.session_key,
        count(*) as conversion_count,
        {{ purchase_count('conversions.') }} as purchase_count,
        {{ revenue_usd('conversions.') }} as revenue_usd
    from sessions
    inner join conversions
        on sessions.tenant_id = conversions.tenant_id
        and sessions.session_id = conversions.session_id
        and conversions.occurred_at >= sessions.started_at
        and conversions.occurred_at <= sessions.ended_at + {{ gap }}
        and conversions.event_date <= sessions.session_date + 1
    group by all
),

final as (
    select
        sessions.tenant_id,
        sessions.session_date,
        sessions.session_key,
        sessions.session_id,
        sessions.user_id,
        coalesce(sessions.site_id, 'unknown') as site_id,
        sessions.started_at,
        sessions.ended_at,
        sessions.duration_seconds,
        sessions.event_count,
        sessions.page_view_count,
        sessions.is_bounce,
        coalesce(sessions.entry_page_type, 'unknown') as entry_page_type,
        coalesce(sessions.exit_page_type, 'unknown') as exit_page_type,
        sessions.entry_page_url,
        sessions.exit_page_url,
        coalesce(sessions.country, 'unknown') as country,
        coalesce(sessions.device_type, 'unknown') as device_type,
        coalesce(sessions.browser, 'unknown') as browser,
        sessions.channel,
        sessions.utm_source,
        sessions.utm_medium,
        sessions.utm_campaign,
        coalesce(converted.conversion_count, 0) as conversion_count,
        coalesce(converted.purchase_count, 0) as purchase_count,
        coalesce(converted.purchase_count, 0) > 0 as is_converted,
        {{ usd_or_zero('converted.revenue_usd') }} as revenue_usd
    from sessions
    left join converted using (tenant_id, session_key)
)

select * from final
