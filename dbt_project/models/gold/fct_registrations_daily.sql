{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'registration_date'],
    )
}}

with registrations as (
    select * from {{ ref('stg_registrations') }}
    where {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date as registration_date,
        coalesce(site_id, 'unknown') as site_id,
        coalesce(country, 'unknown') as country,
        coalesce(verification_tier, 'unknown') as verification_tier,
        count(*) as registration_count,
        count(distinct user_id) as user_count,
        count(*) filter (where is_kyc_completed) as kyc_completed_count,
        count(*) filter (where is_kyc_completed is null) as kyc_unknown_count,
        count(*) filter (where has_marketing_consent) as marketing_consent_count,
        count(*) filter (where wallet_address != '') as wallet_count,
        {{ share_of('kyc_completed_count', 'registration_count') }} as kyc_completed_share,
        {{ share_of('marketing_consent_count', 'registration_count') }} as marketing_consent_share
    from registrations
    group by
        tenant_id,
        event_date,
        coalesce(site_id, 'unknown'),
        coalesce(country, 'unknown'),
        coalesce(verification_tier, 'unknown')
)

select * from final
