{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'funnel_date'],
    )
}}

{#- The entity is one client session within one UTC day. Events whose own clock is not believed
    take no part: the funnel is about order. -#}

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

visits as (
    select
        tenant_id,
        event_date,
        session_id,
        min(occurred_at) as visited_at,
        arg_min(coalesce(site_id, 'unknown'), (occurred_at, event_id)) as site_id,
        arg_min(coalesce(country, 'unknown'), (occurred_at, event_id)) as country,
        arg_min(coalesce(device_type, 'unknown'), (occurred_at, event_id)) as device_type,
        arg_min(channel, (occurred_at, event_id)) as channel
    from page_events
    group by tenant_id, event_date, session_id
),

signups as (
    select
        visits.tenant_id,
        visits.event_date,
        visits.session_id,
        min(registrations.occurred_at) filter (
            where registrations.occurred_at >= visits.visited_at
        ) as signed_up_at
    from visits
    inner join registrations using (tenant_id, event_date, session_id)
    group by all
),

wallets as (
    select
        visits.tenant_id,
        visits.event_date,
        visits.session_id,
        min(conversions.occurred_at) filter (
            where conversions.occurred_at >= signups.signed_up_at
        ) as connected_at
    from visits
    inner join conversions using (tenant_id, event_date, session_id)
    left join signups using (tenant_id, event_date, session_id)
    where conversions.conversion_type = 'wallet_connect'
    group by all
),

purchases as (
    select
        visits.tenant_id,
        visits.event_date,
        visits.session_id,
        min(conversions.occurred_at) filter (
            where conversions.occurred_at >= wallets.connected_at
        ) as purchased_at
    from visits
    inner join conversions using (tenant_id, event_date, session_id)
    left join wallets using (tenant_id, event_date, session_id)
    where conversions.is_purchase
    group by all
),

final as (
    select
        visits.tenant_id,
        visits.event_date as funnel_date,
        visits.site_id,
        visits.country,
        visits.device_type,
        visits.channel,
        count(*) as visit_count,
        count(signups.signed_up_at) as signup_count,
        count(wallets.connected_at) as wallet_connect_count,
        count(purchases.purchased_at) as purchase_count,
        count(signups.session_id) as loose_signup_count,
        count(wallets.session_id) as loose_wallet_connect_count,
        count(purchases.session_id) as loose_purchase_count
    from visits
    left join signups using (tenant_id, event_date, session_id)
    left join wallets using (tenant_id, event_date, session_id)
    left join purchases using (tenant_id, event_date, session_id)
    group by all
)

select * from final
