{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'activity_date'],
    )
}}

with events as (
    select * from {{ ref('stg_app_events') }}
    where {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date as activity_date,
        isodow(event_date) as day_of_week,
        hour({{ utc('event_at') }}) as hour_of_day,
        channel,
        count(*) as event_count,
        count(distinct user_id) as user_count,
        count(distinct session_id) as session_count
    from events
    group by all
)

select * from final
