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
        {{ purchase_count() }} as purchase_count,
        {{ revenue_usd() }} as gross_usd,
        {{ tokens_bought() }} as token_amount,
        {{ payer_count() }} as payer_count,
        {{ arpu_usd() }} as arpu_usd
    from purchases
    group by all
)

select * from final
