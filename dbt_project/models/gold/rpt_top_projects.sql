{%- set week = {'days_after': 6} -%}
{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'report_date'],
        meta={
            'touches': {
                'silver.int_sessions': week,
                'silver.stg_registrations': week,
                'silver.stg_conversions': week,
            }
        },
    )
}}

with sessions as (
    select
        tenant_id,
        session_date as event_date,
        coalesce(site_id, 'unknown') as site_id,
        1 as session_count,
        0 as registration_count,
        null as user_id,
        cast(null as decimal(18, 2)) as amount_usd,
        false as is_purchase
    from {{ ref('int_sessions') }}
    where {{ in_scope('session_date', days_before=6) }}
),

registrations as (
    select
        tenant_id,
        event_date,
        coalesce(site_id, 'unknown') as site_id,
        0 as session_count,
        1 as registration_count,
        null as user_id,
        cast(null as decimal(18, 2)) as amount_usd,
        false as is_purchase
    from {{ ref('stg_registrations') }}
    where {{ in_scope('event_date', days_before=6) }}
),

purchases as (
    select
        tenant_id,
        event_date,
        coalesce(site_id, 'unknown') as site_id,
        0 as session_count,
        0 as registration_count,
        user_id,
        amount_usd,
        is_purchase
    from {{ ref('stg_conversions') }}
    where is_purchase and {{ in_scope('event_date', days_before=6) }}
),

happenings as (
    select * from sessions
    union all
    select * from registrations
    union all
    select * from purchases
),

reports as (
    select distinct
        tenant_id,
        event_date as report_date
    from happenings
    where {{ in_scope('event_date') }}
),

measured as (
    select
        reports.tenant_id,
        reports.report_date,
        happenings.site_id,
        cast(sum(happenings.session_count) as bigint) as session_count,
        cast(sum(happenings.registration_count) as bigint) as registration_count,
        {{ purchase_count('happenings.') }} as purchase_count,
        {{ payer_count('happenings.') }} as payer_count,
        {{ revenue_usd('happenings.') }} as revenue_usd
    from reports
    inner join happenings
        on reports.tenant_id = happenings.tenant_id
        and happenings.event_date between reports.report_date - 6 and reports.report_date
    group by reports.tenant_id, reports.report_date, happenings.site_id
),

final as (
    select
        tenant_id,
        report_date,
        site_id,
        row_number() over (
            partition by tenant_id, report_date
            order by revenue_usd desc, registration_count desc, session_count desc, site_id asc
        ) as revenue_rank,
        session_count,
        registration_count,
        purchase_count,
        payer_count,
        revenue_usd,
        {{ share_of('purchase_count', 'session_count') }} as conversion_rate
    from measured
)

select * from final
