{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'cohort_date'],
    )
}}

{#- A person's steps are the first ones of each kind; in order, each at or after the one before. -#}

with visitors as (
    select
        *,
        case when signed_up_at >= first_page_at then signed_up_at end as then_signed_up_at,
        case when wallet_connected_at >= then_signed_up_at then wallet_connected_at end
            as then_connected_at,
        case when purchased_at >= then_connected_at then purchased_at end as then_purchased_at,
        {{ microseconds_after('then_purchased_at', 'first_page_at') }} as purchased_after
    from {{ ref('int_persons') }}
    where first_page_at is not null and {{ in_scope('first_seen_date') }}
),

final as (
    select
        tenant_id,
        first_seen_date as cohort_date,
        coalesce(first_site_id, 'unknown') as site_id,
        first_channel as channel,
        count(*) as visitor_count,
        count(then_signed_up_at) as signup_count,
        count(then_connected_at) as wallet_connect_count,
        count(then_purchased_at) as purchase_count,
        count(*) filter (where purchased_after < {{ days(1) }}) as purchase_1d_count,
        count(*) filter (where purchased_after < {{ days(7) }}) as purchase_7d_count,
        count(*) filter (where purchased_after < {{ days(30) }}) as purchase_30d_count,
        count(signed_up_at) as loose_signup_count,
        count(wallet_connected_at) as loose_wallet_connect_count,
        count(purchased_at) as loose_purchase_count,
        {{ median_seconds('first_page_at', 'then_signed_up_at') }} as visit_to_signup_seconds,
        {{ median_seconds('then_signed_up_at', 'then_connected_at') }}
            as signup_to_wallet_connect_seconds,
        {{ median_seconds('then_connected_at', 'then_purchased_at') }}
            as wallet_connect_to_purchase_seconds,
        {{ median_seconds('first_page_at', 'then_purchased_at') }} as visit_to_purchase_seconds,
        {{ usd_or_zero('sum(revenue_usd)') }} as revenue_usd
    from visitors
    group by tenant_id, first_seen_date, coalesce(first_site_id, 'unknown'), first_channel
)

select * from final
