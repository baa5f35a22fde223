{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'first_seen_date'],
    )
}}

with persons as (
    select * from {{ ref('int_persons') }}
    where is_known and {{ in_scope('first_seen_date') }}
),

final as (
    select
        tenant_id,
        person_id as user_id,
        first_seen_date,
        first_seen_at,
        identified_at,
        last_seen_at,
        first_page_at,
        first_site_id,
        first_country,
        first_device_type,
        first_channel,
        first_utm_source,
        first_utm_medium,
        first_utm_campaign,
        signed_up_at,
        wallet_connected_at,
        purchased_at,
        signed_up_at is not null as is_registered,
        purchase_count > 0 as is_payer,
        visit_count,
        device_count,
        event_count,
        purchase_count,
        revenue_usd
    from persons
)

select * from final
