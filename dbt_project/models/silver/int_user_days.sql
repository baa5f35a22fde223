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
        user_id,
        count(*) as event_count
    from events
    where user_id is not null and channel != 'server'
    group by all
)

select * from final
