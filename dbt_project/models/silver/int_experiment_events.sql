{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'event_date'],
    )
}}

with app_events as (
    select * from {{ ref('stg_app_events') }}
    where not is_date_clamped and user_id is not null and {{ in_scope('event_date') }}
),

conversions as (
    select * from {{ ref('stg_conversions') }}
    where not is_date_clamped and user_id is not null and {{ in_scope('event_date') }}
),

variants as (
    select * from {{ ref('experiments') }}
),

goals as (
    select distinct
        tenant_id,
        experiment_id,
        goal_contract,
        goal_type
    from variants
),

shown as (
    select
        *,
        json_extract_string(properties, '$.experiment_id') as experiment_id,
        json_extract_string(properties, '$.variant') as variant
    from app_events
    where event_type = 'experiment_exposure'
),

exposures as (
    select
        shown.tenant_id,
        shown.event_date,
        shown.experiment_id,
        shown.user_id,
        'exposure' as happening,
        shown.variant,
        shown.occurred_at,
        shown.event_id as source_id
    from shown
    inner join variants
        on shown.experiment_id = variants.experiment_id
        and shown.variant = variants.variant
        and variants.tenant_id in ('*', shown.tenant_id)
    where
        shown.event_date >= coalesce(variants.starts_on, shown.event_date)
        and shown.event_date <= coalesce(variants.ends_on, shown.event_date)
),

product_goals as (
    select
        app_events.tenant_id,
        app_events.event_date,
        goals.experiment_id,
        app_events.user_id,
        'goal' as happening,
        cast(null as varchar) as variant,
        app_events.occurred_at,
        app_events.event_id as source_id
    from app_events
    inner join goals
        on app_events.event_type = goals.goal_type
        and goals.tenant_id in ('*', app_events.tenant_id)
    where goals.goal_contract = 'app_events'
),

conversion_goals as (
    select
        conversions.tenant_id,
        conversions.event_date,
        goals.experiment_id,
        conversions.user_id,
        'goal' as happening,
        cast(null as varchar) as variant,
        conversions.occurred_at,
        conversions.conversion_id as source_id
    from conversions
    inner join goals
        on conversions.conversion_type = goals.goal_type
        and goals.tenant_id in ('*', conversions.tenant_id)
    where goals.goal_contract = 'conversions'
),

final as (
    select * from exposures
    union all
    select * from product_goals
    union all
    select * from conversion_goals
)

select * from final
