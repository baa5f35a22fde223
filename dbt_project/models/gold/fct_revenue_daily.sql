{{
    config(
        incremental_strategy='replace_buckets',
        partition_by=['tenant_id', 'revenue_date'],
    )
}}

with purchases as (
    select * from {{ ref('stg_conversions') }}
    where is_purchase and {{ in_scope('event_date') }}
),

final as (
    select
        tenant_id,
        event_date as revenue_date,
        coalesce(site_id, 'unknown') as site_id,
        coalesce(payment_method, 'unknown') as payment_method,
        count(*) as purchase_count,
        cast(coalesce(sum(amount_usd), 0) as decimal(18, 2)) as gross_usd,
        cast(coalesce(sum(token_amount), 0) as decimal(38, 8)) as token_amount,
        count(distinct user_id) as payer_count,
        cast(sum(amount_usd) / nullif(count(distinct user_id), 0) as decimal(18, 2)) as arpu_usd
    from purchases
    group by all
)

select * from final
