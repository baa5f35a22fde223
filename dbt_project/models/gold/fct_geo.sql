{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'geo_date'],
        meta={'sliced_by': 'days'},
    )
}}

with page_events as (
    select * from {{ ref('stg_clickstream') }}
    where {{ in_scope('event_date') }}
),

registrations as (
    select * from {{ ref('stg_registrations') }}
    where {{ in_scope('event_date') }}
),

conversions as (
    select * from {{ ref('stg_conversions') }}
    where {{ in_scope('event_date') }}
),

-- What each user did in a visit, and where the visit was when it first named a country.
stays as (
    select
        tenant_id,
        event_date,
        session_id,
        user_id,
        count(*) filter (where event_type = 'page_view') as page_view_count,
        arg_min(
            { 'country': country, 'event_at': event_at, 'event_id': event_id },
            (event_at, event_id)
        ) filter (where country is not null) as named
    from page_events
    group by tenant_id, event_date, session_id, user_id
),

-- A visit is in one country a day: that of its first event that names one. Conversions have no
-- country of their own.
countries as (
    select
        tenant_id,
        event_date,
        session_id,
        coalesce(
            arg_min(named.country, (named.event_at, named.event_id))
            filter (where named is not null),
            'unknown'
        ) as country
    from stays
    group by tenant_id, event_date, session_id
),

visits as (
    select
        stays.tenant_id,
        stays.event_date,
        countries.country,
        count(distinct stays.session_id) as visit_count,
        count(distinct stays.user_id) as user_count,
        cast(sum(stays.page_view_count) as bigint) as page_view_count
    from stays
    inner join countries using (tenant_id, event_date, session_id)
    group by stays.tenant_id, stays.event_date, countries.country
),

signups as (
    select
        registrations.tenant_id,
        registrations.event_date,
        coalesce(countries.country, registrations.country, 'unknown') as country,
        count(*) as registration_count
    from registrations
    left join countries using (tenant_id, event_date, session_id)
    group by all
),

sales as (
    select
        conversions.tenant_id,
        conversions.event_date,
        coalesce(countries.country, 'unknown') as country,
        {{ purchase_count('conversions.') }} as purchase_count,
        {{ payer_count('conversions.') }} as payer_count,
        {{ revenue_usd('conversions.') }} as revenue_usd
    from conversions
    left join countries using (tenant_id, event_date, session_id)
    where conversions.is_purchase
    group by all
),

final as (
    select
        tenant_id,
        event_date as geo_date,
        country,
        coalesce(visits.visit_count, 0) as visit_count,
        coalesce(visits.user_count, 0) as user_count,
        coalesce(visits.page_view_count, 0) as page_view_count,
        coalesce(signups.registration_count, 0) as registration_count,
        coalesce(sales.purchase_count, 0) as purchase_count,
        coalesce(sales.payer_count, 0) as payer_count,
        {{ usd_or_zero('sales.revenue_usd') }} as revenue_usd
    from visits
    full join signups using (tenant_id, event_date, country)
    full join sales using (tenant_id, event_date, country)
)

select * from final
