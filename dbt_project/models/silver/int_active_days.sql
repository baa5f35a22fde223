{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'activity_date'],
    )
}}

with happenings as (
    select
        tenant_id,
        event_date,
        user_id,
        event_at,
        'web' as source
    from {{ ref('stg_clickstream') }}
    where user_id is not null and {{ in_scope('event_date') }}
    union all
    select
        tenant_id,
        event_date,
        user_id,
        event_at,
        'app' as source
    from {{ ref('stg_app_events') }}
    where user_id is not null and {{ in_scope('event_date') }}
    union all
    select
        tenant_id,
        event_date,
        user_id,
        event_at,
        'web' as source
    from {{ ref('stg_registrations') }}
    where {{ in_scope('event_date') }}
    union all
    select
        tenant_id,
        event_date,
        user_id,
        event_at,
        'web' as source
    from {{ ref('stg_conversions') }}
    where {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date as activity_date,
        user_id,
        min(event_at) as first_active_at,
        max(event_at) as last_active_at,
        count(*) as event_count,
        count(*) filter (where source = 'app') as app_event_count
    from happenings
    group by all
)

select * from final
