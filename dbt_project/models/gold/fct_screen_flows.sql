{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'flow_date'],
    )
}}

{#- The entity is one session within one UTC day. A screen is left when another one is seen:
    several events on the same screen in a row are one view of it. -#}

with events as (
    select * from {{ ref('stg_app_events') }}
    where not is_date_clamped and session_id is not null and {{ in_scope('event_date') }}
),

shown as (
    select
        tenant_id,
        event_date,
        session_id,
        event_id,
        occurred_at,
        channel,
        coalesce(screen_name, {{ path_of('page_url') }}) as screen
    from events
    where screen_name is not null or page_url is not null
),

compared as (
    select
        *,
        lag(screen) over session_of_day as previous_screen
    from shown
    window
        session_of_day as (
            partition by tenant_id, event_date, session_id
            order by occurred_at, event_id
        )
),

views as (
    select
        tenant_id,
        event_date,
        session_id,
        channel,
        occurred_at,
        screen,
        previous_screen,
        lead(screen) over session_of_day as next_screen,
        lead(occurred_at) over session_of_day as next_at
    from compared
    where screen is distinct from previous_screen
    window
        session_of_day as (
            partition by tenant_id, event_date, session_id
            order by occurred_at, event_id
        )
),

flows as (
    select
        tenant_id,
        event_date,
        session_id,
        channel,
        '(entry)' as from_screen,
        screen as to_screen,
        null as seconds
    from views
    where previous_screen is null
    union all
    select
        tenant_id,
        event_date,
        session_id,
        channel,
        screen as from_screen,
        coalesce(next_screen, '(exit)') as to_screen,
        {{ seconds_after('next_at', 'occurred_at') }} as seconds
    from views
),

final as (
    select
        tenant_id,
        event_date as flow_date,
        channel,
        from_screen,
        to_screen,
        count(*) as flow_count,
        count(distinct session_id) as session_count,
        quantile_cont(seconds, 0.5) as median_stay_seconds
    from flows
    group by all
)

select * from final
