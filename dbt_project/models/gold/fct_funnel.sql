{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'funnel_date'],
        meta={'sliced_by': 'days'},
    )
}}

{#- The entity is a visitor within one UTC day: all visits of a user that day, or one visit of
    somebody who is not known that day. Events whose own clock is not believed take no part: the funnel is
    about order. -#}

with page_events as (
    select * from {{ ref('stg_clickstream') }}
    where not is_date_clamped and {{ in_scope('event_date') }}
),

registrations as (
    select * from {{ ref('stg_registrations') }}
    where not is_date_clamped and {{ in_scope('event_date') }}
),

conversions as (
    select * from {{ ref('stg_conversions') }}
    where not is_date_clamped and {{ in_scope('event_date') }}
),

-- A visit's first event and first known user are worked out once, so that what follows is about
-- visits and not about events.
starts as (
    select
        tenant_id,
        event_date,
        session_id,
        min(occurred_at) as occurred_at,
        min(occurred_at) filter (where user_id is not null) as known_at,
        arg_min(user_id, (occurred_at, user_id)) filter (where user_id is not null) as user_id
    from page_events
    group by tenant_id, event_date, session_id
),

first_events as (
    select
        tenant_id,
        event_date,
        session_id,
        occurred_at,
        min(page_events.event_id) as event_id,
        arg_min(coalesce(page_events.site_id, 'unknown'), page_events.event_id) as site_id,
        arg_min(coalesce(page_events.country, 'unknown'), page_events.event_id) as country,
        arg_min(coalesce(page_events.device_type, 'unknown'), page_events.event_id) as device_type,
        arg_min(page_events.channel, page_events.event_id) as channel
    from starts
    inner join page_events using (tenant_id, event_date, session_id, occurred_at)
    group by tenant_id, event_date, session_id, occurred_at
),

-- Whose a visit is, by what is known that day.
known as (
    select
        tenant_id,
        event_date,
        session_id,
        arg_min(user_id, (known_at, user_id)) as user_id
    from (
        select
            tenant_id,
            event_date,
            session_id,
            user_id,
            known_at
        from starts
        union all
        select
            tenant_id,
            event_date,
            session_id,
            user_id,
            occurred_at as known_at
        from registrations
        union all
        select
            tenant_id,
            event_date,
            session_id,
            user_id,
            occurred_at as known_at
        from conversions
    )
    where user_id is not null
    group by tenant_id, event_date, session_id
),

visits as (
    select
        first_events.*,
        coalesce('user:' || known.user_id, 'visit:' || first_events.session_id) as visitor
    from first_events
    left join known using (tenant_id, event_date, session_id)
),

visitors as (
    select
        tenant_id,
        event_date,
        visitor,
        count(*) as visit_count,
        min(occurred_at) as visited_at,
        arg_min(site_id, (occurred_at, event_id)) as site_id,
        arg_min(country, (occurred_at, event_id)) as country,
        arg_min(device_type, (occurred_at, event_id)) as device_type,
        arg_min(channel, (occurred_at, event_id)) as channel
    from visits
    group by tenant_id, event_date, visitor
),

-- A step belongs to whose visit it was taken in; without a visit to the user it names.
steps as (
    select
        happening.tenant_id,
        happening.event_date,
        coalesce(
            'user:' || coalesce(known.user_id, happening.user_id), 'visit:' || happening.session_id
        ) as visitor,
        happening.step,
        happening.occurred_at
    from (
        select
            tenant_id,
            event_date,
            session_id,
            user_id,
            occurred_at,
            'signup' as step
        from registrations
        union all
        select
            tenant_id,
            event_date,
            session_id,
            user_id,
            occurred_at,
            case when is_purchase then 'purchase' else 'wallet_connect' end as step
        from conversions
        where is_purchase or conversion_type = 'wallet_connect'
    ) as happening
    left join known using (tenant_id, event_date, session_id)
),

{#- The first time that a step was taken at or after the one before was taken in order; the step is
    there without a time for a visitor who took it out of order. #}
{%- for name, step, before, since in [
    ('signups', 'signup', 'visitors', 'visited_at'),
    ('wallets', 'wallet_connect', 'signups', 'taken_at'),
    ('purchases', 'purchase', 'wallets', 'taken_at'),
] %}
{{ name }} as (
    select
        visitors.tenant_id,
        visitors.event_date,
        visitors.visitor,
        min(steps.occurred_at) filter (
            where steps.occurred_at >= {{ before }}.{{ since }}
        ) as taken_at
    from visitors
    inner join steps using (tenant_id, event_date, visitor)
    {%- if before != 'visitors' %}
    left join {{ before }} using (tenant_id, event_date, visitor)
    {%- endif %}
    where steps.step = '{{ step }}'
    group by all
),
{% endfor %}
final as (
    select
        visitors.tenant_id,
        visitors.event_date as funnel_date,
        visitors.site_id,
        visitors.country,
        visitors.device_type,
        visitors.channel,
        cast(sum(visitors.visit_count) as bigint) as visit_count,
        count(*) as visitor_count,
        count(signups.taken_at) as signup_count,
        count(wallets.taken_at) as wallet_connect_count,
        count(purchases.taken_at) as purchase_count,
        count(signups.visitor) as loose_signup_count,
        count(wallets.visitor) as loose_wallet_connect_count,
        count(purchases.visitor) as loose_purchase_count,
        {{ median_seconds('visitors.visited_at', 'signups.taken_at') }} as visit_to_signup_seconds,
        {{ median_seconds('signups.taken_at', 'wallets.taken_at') }}
            as signup_to_wallet_connect_seconds,
        {{ median_seconds('wallets.taken_at', 'purchases.taken_at') }}
            as wallet_connect_to_purchase_seconds,
        {{ median_seconds('visitors.visited_at', 'purchases.taken_at') }}
            as visit_to_purchase_seconds
    from visitors
    left join signups using (tenant_id, event_date, visitor)
    left join wallets using (tenant_id, event_date, visitor)
    left join purchases using (tenant_id, event_date, visitor)
    group by all
)

select * from final
