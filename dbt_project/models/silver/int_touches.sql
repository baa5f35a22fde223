{{
    config(
        incremental_strategy='insert_new',
        unique_key=['tenant_id', 'touch_source', 'event_id'],
        partition_by=['tenant_id', 'touch_date'],
        meta={'keys_come_once': true},
    )
}}

with clicks as (
    select * from {{ new_rows(ref('stg_ad_events')) }}
    where event_type = 'click' and user_id is not null and not is_date_clamped
),

arrivals as (
    select * from {{ new_rows(ref('stg_clickstream')) }}
    where channel != 'direct' and not is_date_clamped
),

final as (
    select
        tenant_id,
        'ad_click' as touch_source,
        event_id,
        event_at as touched_at,
        event_date as touch_date,
        user_id,
        cast(null as varchar) as session_id,
        campaign_id,
        channel
    from clicks
    union all
    select
        tenant_id,
        'visit' as touch_source,
        event_id,
        event_at as touched_at,
        event_date as touch_date,
        user_id,
        session_id,
        nullif(utm_campaign, '') as campaign_id,
        channel
    from arrivals
)

select * from final
where {{ in_scope('touch_date') }}
