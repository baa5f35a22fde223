{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'event_date'],
    )
}}

with events as (
    select * from {{ ref('stg_app_events') }}
    where {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date,
        channel,
        event_type,
        count(*) as event_count,
        count(distinct user_id) as user_count,
        count(distinct device_id) as device_count,
        count(distinct session_id) as session_count,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at
    from events
    group by all
)

select * from final
